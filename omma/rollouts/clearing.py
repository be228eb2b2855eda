"""Who clears a space of which no index is left holds a lease, so that no rollout begins in it meanwhile."""

from typing import Final

LEASE_SECONDS: Final = 120.0


def lease_of(space: str) -> str:
    """Its name."""
    return f"clear:{space}"
