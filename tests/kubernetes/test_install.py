"""The chart as it is used: installed, asked, killed, upgraded, rolled back, beside another. In this order."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from omma.v1 import search_pb2, search_pb2_grpc
from tests.kubernetes.cluster import Failed, ask, until
from tests.kubernetes.conftest import KEY, Servers, World, made
from tests.kubernetes.traffic import Account, searches

pytestmark = pytest.mark.timeout(1_800)


class TestRelease:
    stored: list[tuple[Path, str]]

    def test_it_installs_and_answers(self, world: World, report: Callable[[str, object], None]) -> None:
        began = time.monotonic()
        world.namespace.release("install", world.values)
        until("an answer", lambda: self.health(world))
        report("seconds from helm install to the first answer", round(time.monotonic() - began))

    def test_helm_test_passes(self, world: World) -> None:
        said = ask(world.namespace.helm, "-n", world.namespace.name, "test", "r", "--timeout", "180s")
        assert "Phase:          Succeeded" in said

    def test_what_is_uploaded_is_found(
        self, world: World, pictures: list[Path], report: Callable[[str, object], None]
    ) -> None:
        with world.client() as client:
            stored = []
            for picture in pictures:
                answer = client.post("/images", files={"image": picture.read_bytes()})
                assert answer.status_code in (200, 201), answer.text
                stored.append((picture, str(answer.json()["id"])))
        type(self).stored = stored
        until("every picture", lambda: self.all_found(world))
        report("pictures uploaded and found", len(stored))

    def test_grpc_answers_outside_and_rest_answers_inside(self, world: World) -> None:
        picture, image_id = self.stored[0]
        with grpc.insecure_channel(world.grpc) as channel:
            request = search_pb2.SearchRequest(k=3, timeout_ms=10_000)
            request.queries.add(image=picture.read_bytes())
            answer = search_pb2_grpc.SearchServiceStub(channel).Search(
                request, timeout=20, metadata=(("authorization", f"Bearer {KEY}"),)
            )
        assert str(answer.results[0].id) == image_id
        (pod, *_) = world.namespace.pods("omma.io/component=worker")
        search = (
            "import urllib.request as u; print(u.urlopen(u.Request('http://r-omma-gateway:8080/search?text=dog&k=3',"
            f" headers={{'Authorization': 'Bearer {KEY}'}}), timeout=20).read().decode())"
        )
        said = world.namespace.kubectl("exec", pod["metadata"]["name"], "--", "python", "-c", search)
        assert len(json.loads(said)["results"]) == 3

    def test_every_pod_deleted_once_costs_no_search(self, world: World, report: Callable[[str, object], None]) -> None:
        with self.searching(world, report, "every pod deleted once") as account:
            for pod in world.namespace.pods():
                world.namespace.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=true")
                until("its successor", world.namespace.all_ready)
        self.must_be_whole(account)

    def test_one_replica_of_every_shard_deleted_at_once(
        self, world: World, report: Callable[[str, object], None]
    ) -> None:
        with self.searching(world, report, "a replica of each shard deleted at once") as account:
            gone = [pod["metadata"]["name"] for pod in world.namespace.pods("omma.io/component=shard")]
            gone = [name for name in gone if name.endswith("-1")]
            assert len(gone) == 2
            world.namespace.kubectl("delete", "pod", *gone, "--wait=true")
            began = time.monotonic()
            until("their successors", world.namespace.all_ready)
            report("seconds to full strength", round(time.monotonic() - began))
        self.must_be_whole(account)

    def test_an_upgrade_and_its_rollback_cost_no_search(
        self, world: World, report: Callable[[str, object], None]
    ) -> None:
        before = self.uids(world)
        with self.searching(world, report, "upgrade of every pod, and rollback") as account:
            world.namespace.release("upgrade", {**world.values, "podAnnotations": {"omma.test/round": "2"}})
            until("the upgrade", world.namespace.all_ready)
            assert not before & self.uids(world)
            ask(world.namespace.helm, "-n", world.namespace.name, "rollback", "r", "--wait", "--timeout", "600s")
            until("the rollback", world.namespace.all_ready)
        self.must_be_whole(account)

    def test_a_second_index_gets_pods_and_restarts_none(self, world: World) -> None:
        before = self.uids(world)
        main = world.values["indexes"][0]
        second = {**main, "name": "next", "model": "omma-mini@1.1.0", "shards": 1, "replicas": 1}
        world.namespace.release("upgrade", {**world.values, "indexes": [main, second]}, "--wait=false")
        until("its pods", lambda: world.namespace.pods("omma.io/index=next"))
        assert before <= self.uids(world)
        world.namespace.release("upgrade", world.values)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"shards": 3}, "has 2 shards and keeps them"),
            ({"model": "omma-mini@1.1.0"}, "stays so"),
            ({"storage": {"size": "2Gi"}}, "cascade=orphan"),
        ],
        ids=["shards", "model", "disks"],
    )
    def test_what_an_index_is_cannot_be_changed(self, world: World, change: dict[str, object], said: str) -> None:
        before = self.uids(world)
        with pytest.raises(Failed, match=said):
            world.namespace.release("upgrade", {**world.values, "indexes": [{**world.values["indexes"][0], **change}]})
        assert self.uids(world) == before

    def test_a_secret_that_is_not_there_is_named(self, world: World) -> None:
        with pytest.raises(Failed, match='no Secret "absent"'):
            world.namespace.release("upgrade", {**world.values, "auth": {"adminKeySecret": "absent"}})

    def test_another_release_works_beside_it(self, world: World, servers: Servers, program: Path) -> None:
        with made(servers, program, "beside") as beside:
            one = {**beside.values["indexes"][0], "replicas": 1, "shards": 1}
            parts = {name: {**beside.values[name], "replicas": 1} for name in ("gateway", "egs", "rerank")}
            said = beside.namespace.release("install", {**beside.values, **parts, "indexes": [one]})
            assert "each shard of the index main has one replica" in said
            until("an answer", lambda: self.health(beside))
            with beside.client() as client:
                assert client.get("/images").json()["count"] == 0
        assert self.all_found(world)

    def searching(self, world: World, report: Callable[[str, object], None], what: str) -> "Reported":
        return Reported(world, self.stored, report, what)

    @staticmethod
    def health(world: World) -> bool:
        with world.client() as client:
            return bool(client.get("/health").json()["ok"])

    def all_found(self, world: World) -> bool:
        with searches(world.rest, KEY, self.stored, clients=1) as account:
            until("a round", lambda: account.answered + len(account.failed) >= len(self.stored))
        return not account.failed and not account.lost and not account.partial

    @staticmethod
    def must_be_whole(account: Account) -> None:
        assert account.answered > 10
        assert account.failed == []
        assert account.lost == [] and account.partial == 0

    @staticmethod
    def uids(world: World) -> set[str]:
        return {pod["metadata"]["uid"] for pod in world.namespace.pods()}


class Reported:
    """Searches under way, whose account is written down."""

    def __init__(
        self, world: World, stored: list[tuple[Path, str]], report: Callable[[str, object], None], what: str
    ) -> None:
        self._searches = searches(world.rest, KEY, stored)
        self._report, self._what = report, what

    def __enter__(self) -> Account:
        self._account = self._searches.__enter__()
        return self._account

    def __exit__(self, *error: object) -> None:
        self._searches.__exit__(None, None, None)
        one = self._account
        counts = f"{one.answered} answered, {len(one.failed)} failed, {one.partial} partial, {len(one.lost)} lost"
        self._report(f"searches during: {self._what}", counts)
