"""What is said of a private picture: whose it is, and under which key it lies."""

from dataclasses import replace

from omma.description import Description
from omma.errors import NotAllowed
from omma.identity import Sha256
from omma.viewing import Viewer


def owned(description: Description, viewer: Viewer) -> Description:
    """With its owner, who is the viewer unless an administrator said another one. Raises NotAllowed, field `owner`."""
    if not description.private or viewer.sees_all:
        return description
    if not description.owner:
        description = replace(description, owner=viewer.name)
    require_own(viewer, description.owner, private=True)
    return description


def require_own(viewer: Viewer, owner: str, *, private: bool) -> None:
    """Raises NotAllowed, field `owner`: what is private is one's own, but for administrators."""
    if private and not (viewer.sees_all or viewer.owns(owner)):
        raise NotAllowed("What is private must be your own: its owner is the name of your key or token.", field="owner")


def key_of_bytes(sha256: Sha256, description: Description) -> str:
    """Of a picture without a key of its own: equal bytes of others stay pictures of theirs. Pure."""
    return f"private:{description.owner}:{sha256}" if description.private else sha256
