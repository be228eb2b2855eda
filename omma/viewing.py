"""Who sees which pictures of a tenant: a private one its owner and administrators, every other one everybody."""

from dataclasses import dataclass
from typing import Final

from omma.filters import And, AnyOf, Filter, Not, Or

_PRIVATE: Final = AnyOf("private", (True,))


@dataclass(frozen=True, slots=True)
class Viewer:
    """name: a private picture whose `owner` it is is theirs; "": none is. sees_all: also what is others'."""

    name: str = ""
    sees_all: bool = False

    def sees(self, owner: str, *, private: bool) -> bool:
        """Whether a picture of this owner is there for them."""
        return not private or self.sees_all or self.owns(owner)

    def owns(self, owner: str) -> bool:
        return self.name != "" and self.name == owner

    @property
    def visible_to(self) -> str | None:
        """As a shard is told: whose private pictures count beside the others; None: everybody's."""
        return None if self.sees_all else self.name


NOBODY: Final = Viewer()
EVERYTHING: Final = Viewer(sees_all=True)


def visible(filter: Filter | None, name: str | None) -> Filter | None:
    """What the filter keeps of what is visible to this name, see Viewer.visible_to."""
    if name is None:
        return filter
    shown: Filter = Not(_PRIVATE) if name == "" else Or((Not(_PRIVATE), AnyOf("owner", (name,))))
    return shown if filter is None else And((shown, filter))
