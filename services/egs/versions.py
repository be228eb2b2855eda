"""What a model's version number promises (https://semver.org, read for vectors)."""

from collections.abc import Iterable

from omma.errors import WrongState
from services.egs.manifest import Manifest


def require_allowed(new: Manifest, others: Iterable[Manifest]) -> bool:
    """Whether an entry may stand beside others of its name; False when it is there already, word for word. Pure.

    A version never changes its content, and versions that differ only in the patch make the same vectors.
    Raises WrongState, field `version`, naming the least version that would do.
    """
    named = [one for one in others if one.name == new.name]
    for one in named:
        if one.version == new.version:
            if one == new:
                return False
            raise WrongState(
                f"{new.reference} is registered with other content, and a version never changes: "
                f"call this one {_next(new, named)}.",
                field="version",
            )
    for one in named:
        if one.version_key[:2] == new.version_key[:2] and one.signature() != new.signature():
            raise WrongState(
                f"{new.reference} makes other vectors than {one.reference}, which is more than a patch: "
                f"call it {_next_minor(named)}.",
                field="version",
            )
    return True


def _next(new: Manifest, named: list[Manifest]) -> str:
    major, minor, _ = new.version_key
    alike = [one for one in named if one.version_key[:2] == (major, minor)]
    if any(one.signature() != new.signature() for one in alike):
        return _next_minor(named)
    return f"{major}.{minor}.{max(one.version_key[2] for one in alike) + 1}"


def _next_minor(named: list[Manifest]) -> str:
    major, minor, _ = max(one.version_key for one in named)
    return f"{major}.{minor + 1}.0"
