"""One list, several workers on real parts: who is killed leaves its share to the others; one of them asks a host."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import httpx
import pytest

from deploy.local import Cluster
from deploy.local.service import Service
from deploy.parts.ports import free_port
from tests.hostile_web import KINDS, NAMED, HostileWeb, hostile_web
from tests.integration.small_cluster import small_cluster
from tests.pictures import encoded, scene
from tests.waiting import until

pytestmark = pytest.mark.timeout(600)
HOSTS, EACH, AT_ONCE, BY_HOST, SECONDS = 8, 50, 8, 2, 240.0
SETTINGS = {
    "OMMA_FETCH__NETWORKS": '["127.0.0.0/8"]',
    "OMMA_PICTURES__MAX_BYTES": "1000000",
    "OMMA_WORKER__URLS__AT_ONCE": str(AT_ONCE),
    "OMMA_WORKER__URLS__BY_HOST": str(BY_HOST),
    "OMMA_WORKER__URLS__SECONDS": "2",
    "OMMA_WORKER__URLS__TRIES": "2",
    "OMMA_WORKER__URLS__WAIT_SECONDS": "0.01",
    "OMMA_WORKER__URLS__HOST_FAILURES": "100",
    "OMMA_WORKER__JOB_LEASE_SECONDS": "3",
    "OMMA_WORKER__JOB_POLL_SECONDS": "0.2",
}


@dataclass
class Host:
    """A server of its own, which remembers how many asked it at once."""

    web: HostileWeb = field(init=False)
    most: int = 0
    now: int = 0
    lock: Lock = field(default_factory=Lock)

    def picture(self, number: int) -> bytes:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.1)
        with self.lock:
            self.now -= 1
        return encoded(scene(48, 32, seed=number))


@contextmanager
def hosts() -> Iterator[list[Host]]:
    with ExitStack() as stack:
        made = [Host() for _ in range(HOSTS)]
        for host in made:
            host.web = stack.enter_context(hostile_web(host.picture))
        yield made


@contextmanager
def second_worker(running: Cluster) -> Iterator[Service]:
    """Which nobody starts again."""
    worker = Service("worker-2", "services.worker", free_port("127.0.0.1"))
    try:
        worker.start({**running.environment, "OMMA_TOPOLOGY": str(running.topology.direct)})
        yield worker
    finally:
        worker.server.close()


def shared(*workers: Service) -> bool:
    """One of them helps the other: whichever took the job is not known."""
    return any("helps with a list" in one.server.log() for one in workers)


def served(web: list[Host]) -> Counter[str]:
    return Counter({f"{one.web.url}{path}": times for one in web for path, times in one.web.served.items()})


def test_whoever_is_killed_leaves_its_parts_to_the_others() -> None:
    with small_cluster(1, 1, **SETTINGS) as running, hosts() as web, second_worker(running) as second:
        good = [f"{one.web.url}/good/{number}" for number in range(EACH) for one in web]
        bad = {f"{one.web.url}/{kind}/0": NAMED[kind] for kind in KINDS for one in web}
        with httpx.Client(base_url=running.rest, timeout=60) as rest:
            job_id = rest.post("/ingest", json={"urls": [*good, *bad, *good[:20]]}).json()["job_id"]

            def job() -> Any:
                answer = rest.get(f"/jobs/{job_id}")
                return answer.json() if answer.is_success else {}

            until(lambda: shared(running.worker, second) and len(served(web)) > len(good) // 4, SECONDS)
            second.server.kill()
            until(lambda: len(served(web)) > len(good) // 2, SECONDS)
            running.worker.server.kill()
            told = until(lambda: job() if job().get("state") in ("done", "failed") else None, SECONDS)
            assert told["state"] == "done", told
            assert (told["total"], told["unreadable"]) == (len(good) + len(bad), len(bad))
            assert told["created"] + told["unchanged"] == rest.get("/images").json()["count"] == len(good)
            failed = rest.get(f"/jobs/{job_id}/downloads?failed=true&limit=1000").json()["downloads"]
            assert {one["place"]: one["outcome"] for one in failed} == bad
        again = [url for url, times in served(web).items() if times > 1]
        assert len(again) <= 2 * AT_ONCE, "only what was under way when one was killed"
        assert max(one.most for one in web) <= BY_HOST


def test_a_list_that_is_cancelled_is_left_by_all() -> None:
    with small_cluster(1, 1, **SETTINGS) as running, hosts() as web, second_worker(running) as second:
        urls = [f"{one.web.url}/good/{number}" for number in range(4 * EACH) for one in web]
        with httpx.Client(base_url=running.rest, timeout=60) as rest:
            job_id = rest.post("/ingest", json={"urls": urls}).json()["job_id"]
            until(lambda: shared(running.worker, second) and len(served(web)) > 2 * AT_ONCE, SECONDS)
            assert rest.delete(f"/jobs/{job_id}").is_success
            time.sleep(5)
            left = served(web)
            time.sleep(3)
            assert served(web) == left and len(left) < len(urls)
            assert rest.get(f"/jobs/{job_id}").json()["state"] == "cancelled"
