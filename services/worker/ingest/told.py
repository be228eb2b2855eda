"""What an ingest tells of its source beside the rows it made: what was passed over, what cannot be read, and why."""

from collections import Counter
from typing import Any, Final

from omma.catalog.interface import Catalog
from omma.identity import Tenant

MAX_EXAMPLES: Final = 20
_MAX_KINDS: Final = 40
_SKIPPED: Final = "skipped "


class Told:
    """Some examples of each, with the place and the reason; counts are the job's."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._examples: dict[str, list[dict[str, Any]]] = {}

    def tell(self, name: str, place: str, reason: str) -> None:
        """Count one more of what the job's counts call by this name."""
        self._counts[name] += 1
        self._example(name, {"place": place, "reason": reason[:300]})

    def skip(self, kind: str) -> None:
        """Something that is no picture. kind: its suffix, or what else it is."""
        self._counts["skipped"] += 1
        name = f"{_SKIPPED}{kind}"
        known = name in self._counts or len(self._kinds()) < _MAX_KINDS
        self._counts[name if known else f"{_SKIPPED}other"] += 1

    async def look_for_dead(self, catalog: Catalog, tenant: Tenant, key_prefix: str) -> None:
        """Pictures of the source that became rows and could then not be read."""
        count, some = await catalog.dead_pictures(tenant, key_prefix, MAX_EXAMPLES)
        self._counts["dead"] = count
        for picture in some:
            self._example("dead", {"id": picture.id, "place": picture.uri, "reason": picture.reason})

    def result(self) -> dict[str, Any]:
        """By name, as JSON has it; names of which there is nothing to tell are left out."""
        kinds = self._kinds()
        return {**self._examples, "skipped": kinds} if kinds else dict(self._examples)

    def _kinds(self) -> dict[str, int]:
        """How many of each kind were passed over, most first."""
        kinds = {name.removeprefix(_SKIPPED): n for name, n in self._counts.items() if name.startswith(_SKIPPED)}
        return dict(sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0])))

    def _example(self, name: str, example: dict[str, Any]) -> None:
        examples = self._examples.setdefault(name, [])
        if len(examples) < MAX_EXAMPLES:
            examples.append(example)
