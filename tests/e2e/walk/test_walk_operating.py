"""What operators ask, gRPC, the SDK and the commands; what cannot be read, and what goes when its time is over."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from omma import Client
from omma.v1 import search_pb2, search_pb2_grpc
from tests.e2e.contract_world import World
from tests.pictures import encoded, scene

pytestmark = pytest.mark.timeout(600)


def test_what_operators_ask(world: World) -> None:
    assert world.ok("GET", "/health")["ok"] is True
    for path in ("/healthz", "/readyz", "/docs"):
        assert world.rest.get(path).status_code == 200
    assert "omma_" in world.rest.get("/metrics").text
    assert world.ok("GET", "/openapi.json")["paths"]
    assert world.ok("GET", "/indexes")["indexes"] and world.ok("GET", "/spaces")["spaces"]
    world.refused(404, "", "GET", "/nowhere")
    world.refused(405, "", "DELETE", "/search")


def test_grpc(world: World) -> None:
    with grpc.insecure_channel(world.grpc) as channel:
        healthy = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert healthy.status == health_pb2.HealthCheckResponse.SERVING
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        (said,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(asked, timeout=30)
        names = {one.name for one in said.list_services_response.service}
        assert "omma.v1.SearchService" in names
        stub = search_pb2_grpc.SearchServiceStub(channel)
        query = search_pb2.SearchQuery(image_id=world.ids[0])
        request = search_pb2.SearchRequest(queries=[query], k=3, timeout_ms=30_000)
        found = stub.Search(request, timeout=60)
        assert len(found.results) == 3 and found.next_cursor
        request.cursor = found.next_cursor
        following = stub.Search(request, timeout=60)
        assert not {hit.id for hit in following.results} & {hit.id for hit in found.results}
        upserted = stub.Upsert(search_pb2.UpsertRequest(image=encoded(scene(seed=80)), external_id="rpc"), timeout=60)
        assert stub.Get(search_pb2.GetRequest(id=upserted.id), timeout=60).picture.key == "rpc"
        assert stub.Delete(search_pb2.DeleteRequest(id=upserted.id), timeout=60).receipt
        with pytest.raises(grpc.RpcError) as absent:
            stub.Get(search_pb2.GetRequest(id=10**15), timeout=60)
        assert absent.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_sdk_and_the_commands(world: World, tmp_path: Path) -> None:
    with Client(world.url) as client:
        assert client.search(image_id=world.ids[0], k=2, timeout_ms=30_000)
    (tmp_path / "in").mkdir()
    for seed in (90, 91):
        (tmp_path / "in" / f"{seed}.jpg").write_bytes(encoded(scene(seed=seed)))
    lines = [{"path": str(tmp_path / "in" / "90.jpg"), "external_id": "line", "tags": ["l"], "owner": "eve"}]
    (tmp_path / "some.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    picture = str(tmp_path / "in" / "90.jpg")
    listed = world.omma("ingest", str(tmp_path / "some.jsonl"), "--json")
    if world.reads_folders:
        assert listed.returncode == 0, listed.stderr
    else:
        assert listed.returncode == 2 and "OMMA_GATEWAY__INGEST_FOLDERS" in listed.stderr
    for arguments in [
        ("search", picture, "-k", "2", "--bbox", "0,0,100,100", "--filter", '{"owner": "eve"}', "--json"),
        ("search", "--text", "lamp", "--json"),
        ("search", picture, "--html", str(tmp_path / "sheet.html")),
        ("trace", str(world.ids[0]), "--json"),
        ("dead-letters", "list", "--json"),
        ("index", "list", "--json"),
        ("space", "list", "--json"),
        ("verify", "--json"),
        ("doctor", "--json"),
        ("plan", "--pictures", "1000000", "--qps", "50", "--recall", "0.95", "--json"),
        ("export", str(tmp_path / "out"), "--json"),
    ]:
        done = world.omma(*arguments)
        assert done.returncode == 0, (arguments, done.stdout[-800:], done.stderr[-800:])
        if "--json" in arguments:
            assert [json.loads(line) for line in done.stdout.splitlines() if line], arguments
    assert (tmp_path / "out" / "metadata.jsonl").exists() and (tmp_path / "sheet.html").exists()


def test_a_picture_that_cannot_be_read_is_told_tried_again_and_mended(world: World) -> None:
    def ingest(content: bytes) -> None:
        world.put("one.jpg", content)
        begun = world.ok("POST", "/images/ingest", 202, json={"source": world.source})
        assert world.job(begun["job_id"])["state"] == "done"

    def dead() -> Any:
        return world.ok("GET", "/dead-letters")["dead_letters"]

    def said(*arguments: str) -> Any:
        done = world.omma("dead-letters", *arguments, "--json")
        assert done.returncode == 0, (arguments, done.stdout[-800:], done.stderr[-800:])
        return json.loads(done.stdout)

    content = encoded(scene(seed=95))
    ingest(content[:900])
    (letter,) = world.until(dead)
    id = letter["image_id"]
    assert letter["kind"] == "invalid_picture" and letter["reason"] and letter["uri"].endswith("/one.jpg")
    assert said("show", str(id)) == letter
    assert said("replay", str(id)) == {"replayed": [id], "dead_again": [id]}
    ingest(content)
    world.until(lambda: not dead())
    world.refused(404, "", "GET", f"/dead-letters/{id}")
    asked = {"files": {"image": content}, "data": {"timeout_ms": 30_000, "k": 1}}
    world.until(lambda: [hit["id"] for hit in world.ok("POST", "/search", **asked)["results"]] == [id])
    world.ok("DELETE", f"/images/{id}", 204)


def test_after_its_grace_nothing_is_left_of_a_deleted_picture(world: World) -> None:
    """Of the one that was deleted when the world began, so that its grace is over soon."""

    def kept() -> bool:
        (traced,) = world.ok("GET", "/trace", params={"place": world.deleted})["pictures"]
        return any(one["present"] for one in traced["blobs"].values())

    world.until(lambda: not kept())
    world.refused(404, "id", "POST", f"/images/{world.deleted}/restore")
    world.refused(404, "id", "GET", f"/images/{world.deleted}")
