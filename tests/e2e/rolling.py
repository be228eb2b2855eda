"""Traffic beside a rollout, and how far the rollout has come."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.pictures import encoded, scene
from tests.waiting import eventually


async def ok(answer: Awaitable[httpx.Response]) -> Any:
    found = await answer
    assert found.is_success, found.text
    return found.json() if found.content else None


async def upload(client: httpx.AsyncClient, seed: int) -> dict[str, Any]:
    picture = encoded(scene(64, 48, seed))
    return await ok(client.post("/images", files={"image": picture}, data={"external_id": f"p{seed}"}))


async def reaches(client: httpx.AsyncClient, rollout: str, state: str) -> None:
    async def there() -> bool:
        return bool((await ok(client.get(f"/rollouts/{rollout}")))["state"] == state)

    await eventually(there, 300)


async def ids_in(client: httpx.AsyncClient, index: str, receipts: list[str]) -> list[int]:
    """What this index finds, each as often as it finds it."""
    asked = {"image_id": 1, "index": index, "k": 1000, "near_duplicates": "keep", "exact": True, "timeout_ms": 60_000}
    found = await ok(client.post("/search", json={**asked, "receipts": receipts}))
    assert found["degraded"] == [] and found["coverage"]["fraction"] == 1.0, found
    return sorted([1, *(hit["id"] for hit in found["results"])])


@dataclass
class Traffic:
    """Searches, uploads and deletes, one after the other, until it is stopped."""

    client: httpx.AsyncClient
    live: dict[int, str]
    """Receipt by id."""
    failed: list[str] = field(default_factory=list)
    answered: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By index, space and arm, of searches that began in this step."""
    pause_seconds: float = 0.01
    step: int = 0
    tolerated: frozenset[str] = frozenset()
    """Of what an answer left out: what another fault than a rollout's causes."""
    gone: dict[int, str] = field(default_factory=dict)
    ended: bool = False
    """What is under way is waited for: of a call that is broken off nobody knows what it did."""

    async def run(self) -> None:
        turn = 0
        while not self.ended:
            turn += 1
            await self.search(f"user {turn % 40}")
            if turn % 7 == 0:
                made = await upload(self.client, 1_000 + turn)
                self.live[made["id"]] = made["receipt"]
            if turn % 21 == 0:
                newest = max(self.live)
                answer = await self.client.delete(f"/images/{newest}")
                self.gone[newest] = answer.headers["omma-receipt"]
                del self.live[newest]
            await asyncio.sleep(self.pause_seconds)

    async def search(self, user: str) -> None:
        began = self.step
        body = {"image_id": 2, "k": 3, "user_id": user, "timeout_ms": 60_000, "near_duplicates": "keep"}
        answer = await self.client.post("/search", json=body)
        if answer.is_error or set(answer.json()["degraded"]) - self.tolerated:
            self.failed.append(answer.text)
            return
        found = answer.json()
        if began == self.step:
            self.answered[found["index"], found["space"], found.get("variant", {}).get("arm", "")] += 1
