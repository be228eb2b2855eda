"""For whom the call that is under way looks at pictures: said where they are let in, asked by every core.

So that no face can forget it: where nobody was said, only what is public is seen.
"""

import contextvars
from typing import Final

from omma.catalog.api_key import Role
from omma.catalog.picture import Picture, PictureState
from omma.identity import Tenant
from omma.viewing import NOBODY, Viewer
from services.gateway.callers.auth import Caller

_current: Final[contextvars.ContextVar[Viewer]] = contextvars.ContextVar("omma_viewer", default=NOBODY)


def viewer() -> Viewer:
    """Of the call that is under way, in its tasks too."""
    return _current.get()


def looks(viewer: Viewer) -> None:
    """From now on, for the rest of the call."""
    _current.set(viewer)


def viewer_of(caller: Caller) -> Viewer:
    """A tenant's administrators see everything of it; others what is public, and what is theirs by name."""
    return Viewer(caller.name, sees_all=caller.may(Role.TENANT_ADMIN))


def is_seen(picture: Picture) -> bool:
    """By the viewer of the call that is under way, as long as it lives."""
    return viewer().sees(picture.owner, private=picture.private)


def is_there(tenant: Tenant, picture: Picture) -> bool:
    """For this tenant and this viewer."""
    return picture.tenant == tenant and picture.state is not PictureState.DELETED and is_seen(picture)
