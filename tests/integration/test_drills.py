"""The drills of docs/operations.md, played on a small cluster of real parts, as the page tells an operator to."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local import Cluster
from deploy.local.service import Service
from tests.integration.small_cluster import small_cluster
from tests.pictures import encoded, scene

pytestmark = pytest.mark.timeout(600)

PICTURES = 40
CLEAN_SECONDS = 240.0
CATALOG_SECONDS = 1.0


@pytest.fixture(scope="module")
def running() -> Iterator[Cluster]:
    settings = {
        "OMMA_SHARD__SNAPSHOT_SECONDS": "2",
        "OMMA_SHARD__CHECKPOINT_SECONDS": "1",
        "OMMA_SHARD__CATALOG_SECONDS": str(CATALOG_SECONDS),
    }
    with small_cluster(2, 2, **settings) as made:
        upload(made, range(PICTURES))
        until_clean(made)
        yield made


@contextmanager
def down(running: Cluster, *services: Service) -> Iterator[None]:
    """Inside they are; started again and ready afterwards."""
    with running.supervisor.left_alone(*services):
        for one in services:
            one.server.kill()
        yield
    until = time.monotonic() + CLEAN_SECONDS
    while not all(one.server.running() and one.ready() for one in services):
        assert time.monotonic() < until, [one.server.log()[-1000:] for one in services if not one.ready()]
        time.sleep(0.2)


def upload(running: Cluster, seeds: Sequence[int]) -> list[int]:
    """Ids."""
    with httpx.Client(base_url=running.rest, timeout=60) as client:
        pictures = [("image", (f"{seed}.jpg", encoded(scene(160, 120, seed=seed)))) for seed in seeds]
        return [int(client.post("/images", files=[one]).raise_for_status().json()["id"]) for one in pictures]


def omma(running: Cluster, *arguments: str) -> tuple[int, Any]:
    """Exit code, and what the command prints with --json."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMMA_")}
    done = subprocess.run(
        [sys.executable, "-m", "services.standalone", *arguments, "--json"],
        env=environment | {"OMMA_URL": running.rest},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def until_clean(running: Cluster) -> None:
    """As an operator waits for the end of a drill."""
    until = time.monotonic() + CLEAN_SECONDS
    while True:
        code, report = omma(running, "verify")
        if code == 0:
            return
        assert time.monotonic() < until, json.dumps(report)
        time.sleep(0.5)


def found(running: Cluster, seeds: Sequence[int]) -> list[int]:
    """Ids that pictures find by their own bytes."""
    ids = []
    with httpx.Client(base_url=running.rest, timeout=60) as client:
        for seed in seeds:
            files = {"image": (f"{seed}.jpg", encoded(scene(160, 120, seed=seed)))}
            answer = client.post("/search", data={"k": 1, "exact": "true"}, files=files).raise_for_status().json()
            assert answer["coverage"]["fraction"] == 1
            ids += [int(hit["id"]) for hit in answer["results"] if hit["score"] > 0.999]
    return ids


def kinds(report: Any) -> dict[str, int]:
    return {one["kind"]: one["count"] for one in report["differences"]}


def test_a_shards_disk_is_lost(running: Cluster) -> None:
    replica = running.shards[0][1]
    with down(running, replica):
        shutil.rmtree(replica.data_dir)
        code, report = omma(running, "verify")
        assert (code, [(one["shard"], one["replica"]) for one in report["replicas"]]) == (8, [(0, 1)])
        replica.data_dir.mkdir()
    until_clean(running)


def test_the_snapshots_are_lost(running: Cluster) -> None:
    client = running.minio.client()

    def snapshots() -> list[str]:
        listed = client.list_objects_v2(Bucket="omma", Prefix="omma/snapshots/")
        return [one["Key"] for one in listed.get("Contents", [])]

    until = time.monotonic() + CLEAN_SECONDS
    while not snapshots():
        assert time.monotonic() < until, "the first snapshots are written while nobody waits for them"
        time.sleep(0.2)
    for key in snapshots():
        client.delete_object(Bucket="omma", Key=key)
    assert omma(running, "verify")[0] == 0, "nothing that answers needs them"
    replica = running.shards[1][0]
    with down(running, replica):
        shutil.rmtree(replica.data_dir)
        replica.data_dir.mkdir()
    until_clean(running)
    # What is new since then makes the next snapshot: of shard 0 at once, of shard 1 when the killed one's lease ends.
    upload(running, range(900, 908))
    while not snapshots():
        assert time.monotonic() < until + CLEAN_SECONDS
        time.sleep(0.2)


def test_the_catalog_is_restored_to_an_hour_ago(running: Cluster, tmp_path: Path) -> None:
    (kept, changed, deleted) = upload(running, [101, 102, 103])
    until_clean(running)
    dump = tmp_path / "catalog.sql"
    postgres("pg_dump", running, "-f", str(dump))
    with httpx.Client(base_url=running.rest, timeout=60) as client:
        client.patch(f"/images/{changed}", json={"tags": ["since"]}).raise_for_status()
        client.delete(f"/images/{deleted}").raise_for_status()
    lost = upload(running, [104, 105])
    until_clean(running)

    with down(running, running.gateway, running.indexer):
        postgres("psql", running, "-q", "-c", "DROP SCHEMA public CASCADE", "-c", "CREATE SCHEMA public")
        time.sleep(2 * CATALOG_SECONDS)  # shards look, and find none
        postgres("psql", running, "-q", "-v", "ON_ERROR_STOP=1", "-f", str(dump))
    code, report = omma(running, "verify")
    assert code == 8
    assert kinds(report) == {"vector_newer": 2, "vector_without_row": 2}
    assert report["originals_waiting"] == 2
    code, report = omma(running, "verify", "--repair")
    repaired = {one["kind"]: one["repaired"] for one in report["differences"]}
    assert repaired == {"vector_newer": 2, "vector_without_row": 2}
    until_clean(running)
    assert found(running, [101, 102, 104, 105]) == [kept, changed, *lost]
    assert found(running, [103]) == [], "what was deleted since stays deleted"
    with httpx.Client(base_url=running.rest, timeout=60) as client:
        assert client.get(f"/images/{changed}").json()["tags"] == ["since"]
        client.post(f"/images/{deleted}/restore").raise_for_status()
    assert upload(running, [104]) == lost[:1]
    (new,) = upload(running, [106])
    assert new > max(lost), "an id that the log knows is never given again"
    until_clean(running)
    assert found(running, [103, 106]) == [deleted, new]


def test_kafka_is_lost(running: Cluster) -> None:
    _, before = omma(running, "verify")
    readers = [one for replicas in running.shards for one in replicas]
    with down(running, running.gateway, running.indexer, *readers):
        broker = running.kafka.server
        broker.kill()
        for path in (broker.folder / "data").iterdir():
            if path.is_dir():  # every log; what says that the disk is formatted stays
                shutil.rmtree(path)
        broker.restart()
    indexed = before["rows"]["indexed"]
    code, report = omma(running, "verify")
    assert (code, kinds(report)["no_vector"]) == (8, indexed)
    code, report = omma(running, "verify", "--repair")
    assert {one["kind"]: one["repaired"] for one in report["differences"]}["no_vector"] == indexed
    until_clean(running)
    assert len(found(running, range(PICTURES))) == PICTURES


def postgres(program: str, running: Cluster, *arguments: str) -> None:
    """PostgreSQL's own tools."""
    where = shutil.which(program) or str(sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))[-1])
    subprocess.run([where, *arguments, running.postgres.url], check=True, stdout=subprocess.DEVNULL)
