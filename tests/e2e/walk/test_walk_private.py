"""Who sees a private picture. The last of the walk: from then on nobody is let in without a key."""

from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from omma import Client
from omma.v1 import search_pb2, search_pb2_grpc
from tests.e2e.contract_world import World
from tests.pictures import encoded, scene

pytestmark = pytest.mark.timeout(600)


PRIVATE = 900
"""The seed of the picture that is private."""


@pytest.fixture(scope="module")
def people(world: World) -> dict[str, str]:
    """Their keys by name. From then on nobody is let in without one: what asks for it comes last in this file."""
    made: dict[str, Any] = {}
    for name, role in (("chief", "admin"), ("ann", "write"), ("bob", "write"), ("reader", "read")):
        headers = {"authorization": f"Bearer {made['chief']['secret']}"} if made else {}
        made[name] = world.ok("POST", "/keys", 201, json={"name": name, "role": role}, headers=headers)
    world.until(lambda: all(_as(world, one["secret"], "GET", "/images").is_success for one in made.values()))
    return {name: one["secret"] for name, one in made.items()}


def _as(world: World, secret: str, method: str, path: str, **sent: Any) -> httpx.Response:
    return world.rest.request(method, path, headers={"authorization": f"Bearer {secret}"}, **sent)


def test_a_private_picture_is_its_owners_and_the_administrators(
    world: World, people: dict[str, str], tmp_path: Path
) -> None:
    """At one entrance of each kind; test_private.py walks through every one."""
    picture = encoded(scene(seed=PRIVATE))
    with Client(world.url, api_key=people["ann"]) as ann:
        made = ann.upload(picture, external_id="private", private=True)
        assert ann.get(made.id).private and ann.get(made.id).owner == "ann"
        (hit,) = ann.search(picture, k=1, receipts=[made.receipt], timeout_ms=60_000)
        assert hit.id == made.id

        def found() -> dict[str, set[bool]]:
            return {name: _finds(world, secret, made.id, picture) for name, secret in people.items()}

        seen = {"chief": {True}, "ann": {True}, "bob": {False}, "reader": {False}}
        assert found() == seen
        receipt = ann.patch(made.id, private=False)
        ann.search(picture, k=1, receipts=[receipt], timeout_ms=60_000)
        assert found() == {name: {True} for name in people}
        receipt = ann.patch(made.id, private=True)
        ann.search(picture, k=1, receipts=[receipt], timeout_ms=60_000)
        assert found() == seen
        ann.delete(made.id)
    if world.reads_folders:
        (tmp_path / "one.jpg").write_bytes(encoded(scene(seed=PRIVATE + 1)))
        asked = ("ingest", str(tmp_path), "--owner", "ann", "--private", "--json")
        done = world.omma(*asked, key=people["chief"])
        assert done.returncode == 0, done.stderr
        everything = {"limit": 1000}
        counts = {
            name: _as(world, secret, "GET", "/images", params=everything).json() for name, secret in people.items()
        }
        rows = [one for one in counts["ann"]["images"] if one["uri"].endswith("/one.jpg")]
        assert [(one["owner"], one["private"]) for one in rows] == [("ann", True)]
        assert counts["bob"]["count"] == counts["ann"]["count"] - 1
        assert _as(world, people["ann"], "DELETE", f"/images/{rows[0]['id']}").is_success


def _finds(world: World, secret: str, hidden: int, picture: bytes) -> set[bool]:
    """Whether each of these shows it."""
    options = {"near_duplicates": "keep", "timeout_ms": 60_000, "k": 5}
    searched = _as(world, secret, "POST", "/search", files={"image": picture}, data=options).json()
    listed = _as(world, secret, "GET", "/images", params={"limit": 1000}).json()["images"]
    row = _as(world, secret, "GET", f"/images/{hidden}").status_code
    with grpc.insecure_channel(world.grpc) as channel:
        query = search_pb2.SearchQuery(image=picture)
        request = search_pb2.SearchRequest(queries=[query], k=5, timeout_ms=60_000)
        metadata = [("authorization", f"Bearer {secret}")]
        rpc = search_pb2_grpc.SearchServiceStub(channel).Search(request, timeout=90, metadata=metadata)
    return {
        hidden in [one["id"] for one in searched["results"]],
        hidden in [one["id"] for one in listed],
        row == 200,
        hidden in [one.id for one in rpc.results],
    }
