"""How searches are answered where they do not say it themselves: what an experiment's arms differ in."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """policy: name or name@version, "" for the deployment's. effort: 0 for the index's own. duplicate_bits: by which a
    near-duplicate's hash may differ, 0 for the policy's.
    """

    policy: str = ""
    effort: int = 0
    duplicate_bits: int = 0

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> "SearchSettings":
        """Of a document; what this version does not know is passed over."""
        known = document or {}
        return cls(str(known.get("policy", "")), int(known.get("effort", 0)), int(known.get("duplicate_bits", 0)))

    def document(self) -> dict[str, Any]:
        """What it says; JSON values only."""
        return {name: value for name, value in asdict(self).items() if value}

    def over(self, other: "SearchSettings") -> "SearchSettings":
        """These, and the other's where these say nothing."""
        return SearchSettings(
            self.policy or other.policy, self.effort or other.effort, self.duplicate_bits or other.duplicate_bits
        )
