"""An index that is reached by a rollout, on a server of either kind."""

import time
from collections.abc import Callable
from typing import Any, Final

import httpx

_PATIENCE_SECONDS: Final = 300.0


def rolled_out(client: httpx.Client, **asked: Any) -> str:
    """Another index, as POST /rollouts is asked for it, is built beside the live one and answers everybody from now on;
    the old one stays in standby. Returns its name.
    """
    begun = client.post("/rollouts", json=asked).raise_for_status().json()
    at = f"/rollouts/{begun['id']}"
    candidate = str(begun["candidate"]["id"])
    until(lambda: bool(client.get(at).raise_for_status().json()["state"] == "shadow"), f"{candidate} is not built")
    client.post(f"{at}/canary", json={"share": 100, "force": True}).raise_for_status()
    epoch = client.post(f"{at}/promote").raise_for_status().json()["routing"]["epoch"]

    def followed() -> bool:
        return bool(min(client.get(at).raise_for_status().json()["routing"]["followers"].values()) >= epoch)

    until(followed, f"{candidate} is not followed")
    return candidate


def until(look: Callable[[], bool], failed: str) -> None:
    """Raises RuntimeError with these words when it takes minutes."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not look():
        if time.monotonic() > end:
            raise RuntimeError(failed)
        time.sleep(0.2)
