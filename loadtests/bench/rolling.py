"""Traffic beside a rollout on a cluster, what callers saw of it, and the rollout's steps over REST."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.local.service import Service

PATIENCE_SECONDS: Final = 900.0
_USERS: Final = 200
_AGAIN_SECONDS: Final = 0.5
_OLDEST: Final = 100
"""Of the ids, those that are searched for and stay."""


@dataclass
class Ledger:
    """What callers saw. took: ms of searches, by phase. again: searches that only another gateway answered.

    spaces: by index. left_out: what answers said that they lack. live, deleted: as the last acknowledged write has it.
    """

    spaces: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    again: int = 0
    mixed: int = 0
    searches: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    took: dict[str, list[float]] = field(default_factory=dict)
    phase: str = "before"
    live: set[int] = field(default_factory=set)
    deleted: set[int] = field(default_factory=set)


class Traffic:
    """Searches at a rate of their own, whatever they take; uploads and deletes beside them, until acknowledged."""

    def __init__(self, gateways: Sequence[httpx.AsyncClient], ledger: Ledger, extra: list[Path], *, tries: int) -> None:
        """gateways: asked in turn. tries: of a search, each at another gateway. extra: what is uploaded meanwhile."""
        self._gateways = gateways
        self._ledger = ledger
        self._extra = extra
        self._tries = tries
        self._under_way: set[asyncio.Task[None]] = set()
        self.per_second = 0.0
        self.uploads = True

    async def run(self) -> None:
        turn = 0
        while True:
            if not self.per_second:
                await asyncio.sleep(0.05)
                continue
            turn += 1
            self._begin(self._search(turn))
            if turn % 20 == 0 and self._extra and self.uploads:
                self._begin(self._upload(self._extra.pop()))
            if turn % 100 == 0:
                self._begin(self._delete())
            await asyncio.sleep(1 / self.per_second)

    async def settled(self) -> None:
        """Nothing more is begun, and what is under way has ended."""
        self.per_second = 0.0
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _search(self, turn: int) -> None:
        ledger, phase, began = self._ledger, self._ledger.phase, time.perf_counter()
        body = {"image_id": 1 + turn % 50, "k": 10, "user_id": f"user {turn % _USERS}", "timeout_ms": 20_000}
        found, why = None, ""
        for attempt in range(self._tries):
            found, why = await self._asked(self._gateways[(turn + attempt) % len(self._gateways)], body)
            if found is not None:
                ledger.again += attempt > 0
                break
        ledger.searches += 1
        if found is None:
            ledger.failed.append(f"{phase}: {why}")
            return
        ledger.took.setdefault(phase, []).append((time.perf_counter() - began) * 1e3)
        ledger.mixed += ledger.spaces.get(found["index"], found["space"]) != found["space"]
        ledger.left_out.update(found["degraded"])

    async def _asked(self, gateway: httpx.AsyncClient, body: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
        try:
            answer = await gateway.post("/search", json=body)
        except httpx.HTTPError as error:
            return None, repr(error)
        return (answer.json(), "") if answer.is_success else (None, answer.text[:300])

    async def _upload(self, path: Path) -> None:
        answer = await self._written(lambda gateway: uploaded(gateway, path))
        self._ledger.live.add(answer.json()["id"])

    async def _delete(self) -> None:
        newest = max(self._ledger.live)
        if newest > _OLDEST:
            self._ledger.live.discard(newest)
            await self._written(lambda gateway: gateway.delete(f"/images/{newest}"))
            self._ledger.deleted.add(newest)

    async def _written(self, write: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]) -> httpx.Response:
        """Told until a gateway has acknowledged it: the same write twice is one."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for gateway in self._gateways:
                    try:
                        answer = await write(gateway)
                    except httpx.HTTPError:
                        continue
                    if answer.is_success or answer.status_code == httpx.codes.NOT_FOUND:
                        return answer
                await asyncio.sleep(_AGAIN_SECONDS)


@asynccontextmanager
async def traffic_beside(
    gateways: Sequence[httpx.AsyncClient], ledger: Ledger, extra: list[Path], *, tries: int = 1
) -> AsyncIterator[Traffic]:
    """Running, at no rate yet."""
    traffic = Traffic(gateways, ledger, extra, tries=tries)
    running = asyncio.create_task(traffic.run())
    try:
        yield traffic
    finally:
        running.cancel()
        await traffic.settled()


class Walk:
    """One rollout over REST. followed: seconds until every gateway had acknowledged, the slowest by step."""

    def __init__(self, client: httpx.AsyncClient, gateways: Sequence[Service]) -> None:
        self._client = client
        self._gateways = gateways
        self.followed: dict[str, float] = {}
        self.id = ""

    async def start(self, **body: Any) -> None:
        self.id = (await ok(self._client.post("/rollouts", json=body)))["id"]

    async def shown(self) -> dict[str, Any]:
        told: dict[str, Any] = await ok(self._client.get(f"/rollouts/{self.id}"))
        return told

    async def reaches(self, state: str) -> float:
        """Seconds until it is there."""
        began = time.perf_counter()

        async def there() -> bool:
            return bool((await self.shown())["state"] == state)

        await until(there, 0.5)
        return time.perf_counter() - began

    async def step(self, name: str, **body: Any) -> None:
        began = time.perf_counter()
        epoch = (await ok(self._client.post(f"/rollouts/{self.id}/{name}", json=body)))["routing"]["epoch"]

        async def followed() -> bool:
            said = (await self.shown())["routing"]["followers"]
            # One that was killed is still among the followers for a minute.
            names = [f"{socket.gethostname()}:{one.server.pid}" for one in self._gateways]
            return all(said.get(name, 0) >= epoch for name in names)

        await until(followed, 0.05)
        self.followed[name] = max(self.followed.get(name, 0.0), time.perf_counter() - began)

    async def steps(self) -> list[str]:
        """All that the audit has, oldest first."""
        return [entry["step"] for entry in (await self.shown())["audit"]]


async def ok(answer: Awaitable[httpx.Response]) -> Any:
    return (await answer).raise_for_status().json()


async def uploaded(client: httpx.AsyncClient, path: Path) -> httpx.Response:
    content = await asyncio.to_thread(path.read_bytes)
    return await client.post("/images", files={"image": content}, data={"external_id": "/".join(path.parts[-2:])})


async def until(look: Callable[[], Awaitable[bool]], every_seconds: float) -> None:
    """Whatever it takes, up to PATIENCE_SECONDS; a server that does not answer is asked again."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                if await look():
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(every_seconds)


async def filled(client: httpx.AsyncClient, pictures: Sequence[Path], ledger: Ledger) -> float:
    """Upload them and wait until each is found; seconds."""
    at_once, began = asyncio.Semaphore(8), time.perf_counter()

    async def upload(path: Path) -> None:
        async with at_once:
            answer = await uploaded(client, path)
            ledger.live.add(answer.raise_for_status().json()["id"])

    await asyncio.gather(*map(upload, pictures))

    async def whole() -> bool:
        return bool((await ok(client.get("/stats")))["catalog"]["indexed"] >= len(ledger.live))

    await until(whole, 1.0)
    return time.perf_counter() - began


async def lacking(client: httpx.AsyncClient, index: str, ledger: Ledger) -> tuple[int, int]:
    """How many acknowledged pictures the index lacks, and how many it has twice or should not have. What it lacks at
    first may be on its way: it is looked at until nothing changes any more.
    """
    before: tuple[int, int] | None = None
    while True:
        found: Counter[int] = Counter()
        body: dict[str, Any] = {"image_id": 1, "index": index, "k": 1000, "near_duplicates": "keep", "exact": True}
        while True:
            answer = await ok(client.post("/search", json={**body, "timeout_ms": 60_000}))
            found.update(hit["id"] for hit in answer["results"])
            if not answer.get("next_cursor"):
                break
            body["cursor"] = answer["next_cursor"]
        expected = ledger.live - {1}
        now = len(expected - found.keys()), sum(found.values()) - len(found) + len(found.keys() - expected)
        if now in ((0, 0), before):
            return now
        before = now
        await asyncio.sleep(10)
