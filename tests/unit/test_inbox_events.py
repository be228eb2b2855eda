"""What notifications of buckets say, and which inbox an object lies in."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.blobs.object_uri import bucket_place, object_uri, place_of
from omma.errors import InvalidQuery
from omma.identity import Tenant
from services.worker.ingest.inbox import InboxPlace
from services.worker.ingest.s3_events import ObjectEvent, object_events


def notification(**changes: Any) -> dict[str, Any]:
    """As MinIO sends it, shortened."""
    entity = {"key": "caf%C3%A9+1%2B2/a.jpg", "size": 3, "eTag": "e", "sequencer": "17E3"}
    record = {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": "in"}, "object": entity}}
    return {"EventName": "s3:ObjectCreated:Put", "Key": "in/x", "Records": [record | changes]}


def test_an_event_names_its_object_with_the_key_unquoted() -> None:
    assert object_events(json.dumps(notification()).encode()) == [ObjectEvent("in", "café 1+2/a.jpg", "17E3")]


@pytest.mark.parametrize("name", ["s3:ObjectAccessed:Get", "ObjectTagging:Put", "s3:Replication:Failed"])
def test_what_changes_no_bytes_is_passed_over(name: str) -> None:
    assert object_events(json.dumps(notification(eventName=name)).encode()) == []


def test_a_test_of_the_configuration_is_no_event() -> None:
    assert object_events(b'{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"in"}') == []


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 100_000,
        b"",
        b"x",
        b"[]",
        b"3",
        b"{}",
        b'{"Records": 3}',
        b'{"Records": [3]}',
        b'{"Records": [{}]}',
        b"\xff",
    ],
)
def test_what_is_no_notification_is_said_so(value: bytes) -> None:
    with pytest.raises(ValueError):
        object_events(value)


@pytest.mark.parametrize("s3", [None, {}, {"bucket": {}, "object": {}}, {"bucket": {"name": 1}, "object": {"key": 2}}])
def test_a_notification_without_an_object_is_said_so(s3: Mapping[str, Any] | None) -> None:
    with pytest.raises(ValueError):
        object_events(json.dumps(notification(s3=s3)).encode())


def test_one_wrong_part_of_a_notification_costs_the_others_nothing() -> None:
    whole = notification()
    wrong = notification(s3={"bucket": {"name": "in"}, "object": {"key": "b.jpg", "sequencer": "\0 no number"}})
    whole["Records"] = [*wrong["Records"], 3, *whole["Records"]]
    assert [event.sequencer for event in object_events(json.dumps(whole).encode())] == ["17E3"]


@given(st.text(min_size=1).filter(lambda key: key.encode("utf-8", "ignore").decode() == key))
def test_a_uri_names_its_object_again(key: str) -> None:
    assert place_of(object_uri("bucket", key)) == ("bucket", key)


@pytest.mark.parametrize("uri", ["s3://", "s3://b", "s3://b/", "s3:///k", "file:///k", "s3://b/k?v", "s3://b/k#f"])
def test_what_is_no_object_is_refused(uri: str) -> None:
    with pytest.raises(InvalidQuery):
        place_of(uri)


def test_a_bucket_is_named_with_or_without_a_prefix() -> None:
    assert bucket_place("s3://b") == ("b", "") and bucket_place("s3://b/p q/") == ("b", "p q/")
    with pytest.raises(InvalidQuery):
        bucket_place("s3:///p")


def owner(place: InboxPlace, key: str, bucket: str = "in") -> Tenant | None:
    return place.owner_of(ObjectEvent(bucket, key, "1"))


def test_the_inbox_is_a_prefix_and_says_whose_its_pictures_are() -> None:
    place = InboxPlace.parse("in/new/", "default")
    assert owner(place, "new/a.jpg") == "default"
    assert owner(place, "old/a.jpg") is owner(place, "new/a.jpg", "other") is owner(place, "new/folder/") is None
    by_folder = InboxPlace.parse("in", "")
    assert owner(by_folder, "x" * 201 + "/a.jpg") is owner(by_folder, "a\0/a.jpg") is None
    assert owner(by_folder, "ann/x/a.jpg") == "ann" and owner(by_folder, "a.jpg") is None
