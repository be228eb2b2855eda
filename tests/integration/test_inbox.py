"""Objects that others put into a bucket, on real MinIO and Kafka: searchable without a call, and gone with them."""

import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy.local import Cluster
from omma.blobs.object_uri import object_uri
from omma.log.kafka.log import KafkaLog
from omma.log.kafka.settings import KafkaSettings
from tests.integration.small_cluster import small_cluster
from tests.pictures import encoded, scene
from tests.waiting import until

pytestmark = pytest.mark.timeout(400)

INBOX = "inbox"
SECONDS = 90.0


@pytest.fixture(scope="module")
def running() -> Iterator[Cluster]:
    with small_cluster(1, 1, OMMA_WORKER__JOB_POLL_SECONDS="0.2", OMMA_WORKER__JOB_LEASE_SECONDS="3") as made:
        yield made


@pytest.fixture(scope="module")
def bucket(running: Cluster) -> Any:
    return running.minio.client()


@pytest.fixture
def rest(running: Cluster) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.rest, timeout=60) as client:
        yield client


def picture(seed: int) -> bytes:
    return encoded(scene(160, 120, seed=seed))


def found(rest: httpx.Client, content: bytes) -> list[tuple[int, str]]:
    """Id and uri of pictures with these bytes."""
    asked = {"k": 5, "exact": "true", "near_duplicates": "keep"}
    answer = rest.post("/search", files={"image": content}, data=asked).raise_for_status().json()
    return [(hit["id"], hit["uri"]) for hit in answer["results"] if hit["score"] > 0.9999]


def count(rest: httpx.Client) -> int:
    return int(rest.get("/images", params={"limit": 1}).raise_for_status().json()["count"])


def test_what_is_put_is_found_what_is_replaced_follows_and_what_is_deleted_is_gone(
    rest: httpx.Client, bucket: Any
) -> None:
    uri = object_uri(INBOX, "new/a b+ü.jpg")
    bucket.put_object(Bucket=INBOX, Key="new/a b+ü.jpg", Body=picture(1))
    until(lambda: [one for _, one in found(rest, picture(1))] == [uri], SECONDS)
    ((image_id, _),) = found(rest, picture(1))
    assert rest.get(f"/images/{image_id}/content", follow_redirects=True).content == picture(1)
    bucket.put_object(Bucket=INBOX, Key="new/a b+ü.jpg", Body=picture(2))
    until(lambda: found(rest, picture(2)) == [(image_id, uri)], SECONDS)
    assert found(rest, picture(1)) == []
    bucket.delete_object(Bucket=INBOX, Key="new/a b+ü.jpg")
    until(lambda: found(rest, picture(2)) == [], SECONDS)
    assert rest.get(f"/images/{image_id}").status_code == 404


def test_what_omma_writes_itself_never_comes_back(running: Cluster, rest: httpx.Client) -> None:
    before, events = count(rest), notifications(running)
    upload = rest.post("/images", files={"image": picture(10)}).raise_for_status().json()
    until(lambda: [one for one, _ in found(rest, picture(10))] == [int(upload["id"])], SECONDS)
    time.sleep(0.5)  # MinIO tells of an object in some 70 ms
    assert (count(rest), notifications(running)) == (before + 1, events)


def test_events_again_and_out_of_order_change_nothing(running: Cluster, rest: httpx.Client, bucket: Any) -> None:
    for seed in (20, 21, 22):
        bucket.put_object(Bucket=INBOX, Key="again.jpg", Body=picture(seed))
    bucket.put_object(Bucket=INBOX, Key="gone.jpg", Body=picture(23))
    bucket.delete_object(Bucket=INBOX, Key="gone.jpg")
    until(lambda: len(of_both(running)) == 5, SECONDS)
    said = of_both(running)
    # One partition: what came before this one is handled once it is found.
    bucket.put_object(Bucket=INBOX, Key="then.jpg", Body=picture(29))
    until(lambda: len(found(rest, picture(29))) == 1, SECONDS)
    before = count(rest)
    tell(running, [*reversed(said), *said])
    bucket.put_object(Bucket=INBOX, Key="last.jpg", Body=picture(24))
    until(lambda: len(found(rest, picture(24))) == 1, SECONDS)
    assert count(rest) == before + 1
    assert [len(found(rest, picture(seed))) for seed in (20, 21, 22, 23)] == [0, 0, 1, 0]


def test_what_is_no_picture_and_what_is_no_notification_stop_nothing(
    running: Cluster, rest: httpx.Client, bucket: Any
) -> None:
    tell(running, [b"no json", b'{"Records": 7}', b"{}"])
    bucket.put_object(Bucket=INBOX, Key="text.jpg", Body=b"these are words")
    bucket.put_object(Bucket=INBOX, Key="after.jpg", Body=picture(30))
    until(lambda: len(found(rest, picture(30))) == 1, SECONDS)

    def dead() -> list[str]:
        letters = rest.get("/dead-letters").raise_for_status().json()["dead_letters"]
        return [one["uri"] for one in letters]

    until(lambda: dead() == [f"s3://{INBOX}/text.jpg"], SECONDS)


def test_a_bucket_that_was_there_is_ingested_and_again_is_free(
    running: Cluster, rest: httpx.Client, bucket: Any
) -> None:
    name = f"old-{uuid.uuid4().hex[:8]}"
    bucket.create_bucket(Bucket=name)
    for seed in range(40, 70):
        bucket.put_object(Bucket=name, Key=f"2026/{seed}.jpg", Body=picture(seed))
    bucket.put_object(Bucket=name, Key="2026/notes.txt", Body=b"words")
    bucket.put_object(Bucket=name, Key="2027/other.jpg", Body=picture(70))
    first = ingest(running, f"s3://{name}/2026")
    assert (first["state"], first["created"], first["skipped"]) == ("done", 30, 1)
    assert all(len(found(rest, picture(seed))) == 1 for seed in range(40, 70))
    assert found(rest, picture(70)) == []
    bucket.put_object(Bucket=name, Key="2026/40.jpg", Body=picture(71))
    again = ingest(running, f"s3://{name}/2026")
    assert (again["created"], again["changed"], again["unchanged"]) == (0, 1, 29)
    assert found(rest, picture(40)) == [] and len(found(rest, picture(71))) == 1


def test_an_ingest_goes_on_where_the_indexer_was_killed(running: Cluster, rest: httpx.Client, bucket: Any) -> None:
    name = f"long-{uuid.uuid4().hex[:8]}"
    bucket.create_bucket(Bucket=name)
    for seed in range(100, 400):
        bucket.put_object(Bucket=name, Key=f"{seed}.jpg", Body=encoded(scene(64, 48, seed=seed)))
    job = rest.post("/images/ingest", json={"source": f"s3://{name}"}).raise_for_status().json()["job_id"]

    def progress() -> dict[str, Any]:
        said: dict[str, Any] = rest.get(f"/jobs/{job}").raise_for_status().json()
        return said

    before = count(rest)
    until(lambda: count(rest) >= before + 64, SECONDS)
    running.indexer.server.kill()
    until(lambda: progress()["state"] not in ("waiting", "running"), 90)
    done = progress()
    assert (done["state"], done["created"] + done["unchanged"]) == ("done", 300)
    assert count(rest) == before + 300
    assert all(len(found(rest, encoded(scene(64, 48, seed=seed)))) == 1 for seed in range(100, 400, 25))


def ingest(running: Cluster, source: str) -> Any:
    """As a user asks for it."""
    done = subprocess.run(
        [sys.executable, "-m", "services.standalone", "ingest", source, "--json"],
        env=os.environ | {"OMMA_URL": running.rest},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def notifications(running: Cluster) -> int:
    return len(read_notifications(running))


def of_both(running: Cluster) -> list[bytes]:
    """The notifications of two keys."""
    return [value for value in read_notifications(running) if b"again.jpg" in value or b"gone.jpg" in value]


def read_notifications(running: Cluster) -> list[bytes]:
    """Of the inbox's topic, from its beginning."""

    async def read() -> list[bytes]:
        log = await KafkaLog.open(KafkaSettings(brokers=running.kafka.brokers))
        try:
            return [record.value or b"" async for record in log.scan("omma.inbox")]
        finally:
            await log.close()

    return asyncio.run(read())


def tell(running: Cluster, values: list[bytes]) -> None:
    """As MinIO would."""

    async def send() -> None:
        log = await KafkaLog.open(KafkaSettings(brokers=running.kafka.brokers))
        try:
            producer = await log.producer()
            for value in values:
                await producer.send("omma.inbox", 0, b"", value)
            await producer.close()
        finally:
            await log.close()

    asyncio.run(send())
