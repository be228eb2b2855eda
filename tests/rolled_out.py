"""An index that is reached by a rollout, on a server of either kind."""

from typing import Any, Final

import httpx

from tests.waiting import until

_PATIENCE_SECONDS: Final = 300.0


def rolled_out(client: httpx.Client, **asked: Any) -> str:
    """Another index, as POST /rollouts is asked for it, is built beside the live one and answers everybody from now on;
    the old one stays in standby. Returns its name.
    """
    begun = client.post("/rollouts", json=asked).raise_for_status().json()
    at = f"/rollouts/{begun['id']}"
    candidate = str(begun["candidate"]["id"])
    until(
        lambda: bool(client.get(at).raise_for_status().json()["state"] == "shadow"),
        _PATIENCE_SECONDS,
        f"{candidate} is not built",
    )
    client.post(f"{at}/canary", json={"share": 100, "force": True}).raise_for_status()
    epoch = client.post(f"{at}/promote").raise_for_status().json()["routing"]["epoch"]

    def followed() -> bool:
        return bool(min(client.get(at).raise_for_status().json()["routing"]["followers"].values()) >= epoch)

    until(followed, _PATIENCE_SECONDS, f"{candidate} is not followed")
    return candidate
