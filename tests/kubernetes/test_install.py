"""The chart as it is used: installed, asked, killed, upgraded, rolled back, beside another. In this order."""

import json
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from omma.v1 import search_pb2, search_pb2_grpc
from tests.certificates import Authority
from tests.kubernetes.caller import asked_inside
from tests.kubernetes.changed import REVISION
from tests.kubernetes.cluster import CHART, WAIT_SECONDS, Failed, ask, until
from tests.kubernetes.conftest import CHANGED_IMAGE, IMAGE, KEY, NGINX_IMAGE, SHORT, Servers, World, image, made
from tests.kubernetes.ingest import Stored, put, upload
from tests.kubernetes.scraped import measured, scraped, series
from tests.kubernetes.traffic import Account, not_found, reported, searches

pytestmark = pytest.mark.timeout(1_800)
long = pytest.mark.skipif(SHORT, reason="the short form leaves it out")


DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
QUIET = {
    "What was left out, a second",
    "Refused with 429, a second",
    "Replicas passed over",
    "Failures by part",
    "Inbox, a second",
    "Tried again, a second",
    "Recall at 10",
    "Searches for the shadow, a second",
    "Repeated exactly, a second",
    "Candidates let go of, and the judge's steps",
    "Fit of the codebooks",
    "Age of the oldest change and of snapshots",
    "Recall at 10, the lowest",
    "Vectors more in a day, at the rate of six hours",
    "Disks of shards, share left",
}
"""Panels of what does not happen to a release that is well, or not in its first minutes."""


class TestRelease:
    stored: Stored

    def test_it_installs_and_answers(self, installed: World) -> None:
        assert installed.healthy()

    def test_helm_test_passes(self, world: World) -> None:
        said = ask(world.namespace.helm, "-n", world.namespace.name, "test", "r", "--timeout", "180s")
        assert "Phase:          Succeeded" in said

    def test_what_is_uploaded_and_what_is_put_into_the_bucket_is_found(
        self, world: World, servers: Servers, pictures: list[Path], report: Callable[[str, object], None]
    ) -> None:
        half = len(pictures) // 2 if world.inbox else len(pictures)
        began = time.monotonic()
        with world.client() as client:
            stored = upload(client, pictures[:half])
            report("pictures uploaded", f"{len(stored)} in {time.monotonic() - began:.0f} s")
            if world.inbox:
                stored += put(servers.minio.client(), world.inbox, client, pictures[half:])
                report("pictures put into the bucket", len(stored) - half)
        type(self).stored = stored
        self.must_find(world, stored)
        report("seconds until each of them was found", round(time.monotonic() - began))

    def test_both_faces_answer_outside_and_inside_and_grpc_nobody_whom_it_does_not_know(self, world: World) -> None:
        picture, image_id = self.stored[0]
        request = search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(image=picture.read_bytes())], k=3)
        options = [("grpc.ssl_target_name_override", "r-omma-gateway")]
        stranger = grpc.ssl_channel_credentials(world.authority.certificate.read_bytes())
        for credentials in (world.credentials(), stranger):
            with grpc.secure_channel(world.grpc, credentials, options) as channel:
                search = search_pb2_grpc.SearchServiceStub(channel).Search
                asked = {"timeout": 30, "metadata": (("authorization", f"Bearer {KEY}"),)}
                if credentials is stranger:
                    with pytest.raises(grpc.RpcError):
                        search(request, **asked)
                else:
                    assert image_id in [str(one.id) for one in search(request, **asked).results]
        for face, ids in asked_inside(world.namespace, IMAGE, KEY, picture).items():
            assert image_id in ids, face

    @pytest.mark.skipif(not NGINX_IMAGE, reason="OMMA_TEST_NGINX_IMAGE names no image")
    def test_nginx_shows_the_page_keeps_its_files_and_passes_the_rest_on(self, world: World) -> None:
        url = f"https://{world.namespace.node_port('r-omma-page', 'https')}"
        trusted = ssl.create_default_context(cafile=world.authority.certificate)
        trusted.check_hostname = False  # an address is asked, not the name
        picture, image_id = self.stored[0]
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=url, verify=trusted, headers=headers, timeout=60) as client:
            page = client.get("/").text
            script = page.split('type="module" crossorigin src="')[1].split('"')[0]
            for _ in range(10):  # either pod of two
                assert client.get(script).headers["cache-control"] == "public, max-age=31536000, immutable"
            found = client.post("/search", files={"image": picture.read_bytes()}, data={"near_duplicates": "keep"})
            assert image_id in [str(hit["id"]) for hit in found.json()["results"]]
        kept = [
            world.namespace.kubectl("exec", pod["metadata"]["name"], "--", "find", "/tmp/nginx-page", "-type", "f")
            for pod in world.namespace.pods("omma.io/component=page")
        ]
        assert any(kept)

    def test_dashboards_show_what_runs(self, world: World, prometheus: Path) -> None:
        panels = [panel for file in DASHBOARDS for panel in json.loads(file.read_text())["panels"]]
        asked = {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in panels}
        assert asked.keys() >= QUIET
        with (
            scraped(world.namespace, prometheus) as client,
            searches(world.rest, KEY, self.stored, clients=1),
        ):
            for title, queries in asked.items():
                for query in (one.replace("$namespace", world.namespace.name) for one in queries):
                    if title in QUIET:
                        series(client, query)  # is understood
                    else:
                        until(f"{title}: {query}", lambda: series(client, query), 120)  # noqa: B023
            pods = len(measured(world.namespace))
            until("all of them", lambda: [one["value"][1] for one in series(client, "up")] == ["1"] * pods, 120)

    @long
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

    @long
    def test_evictions_wait_for_each_other_and_cost_no_search(
        self, world: World, report: Callable[[str, object], None]
    ) -> None:
        before = world.uids()
        waiting = [pod["metadata"]["name"] for pod in world.namespace.pods()]
        refused = 0
        with self.searching(world, report, "every pod evicted, as a drain of its node does") as account:
            deadline = time.monotonic() + WAIT_SECONDS
            while waiting and time.monotonic() < deadline:
                # Of the ones whose budget is spent another try is made later, as `kubectl drain` makes it.
                left = [pod for pod in waiting if not world.namespace.evicted(pod)]
                refused += len(left)
                waiting = left
                time.sleep(0.5)
            until("their successors", world.namespace.all_ready)
        report("evictions that had to wait", refused)
        assert not waiting and refused and not before & world.uids()
        self.must_be_whole(account)

    @long
    def test_a_killed_pod_costs_what_was_under_way_and_a_second_try_is_answered(
        self, world: World, report: Callable[[str, object], None]
    ) -> None:
        for component in ("gateway", "egs", "shard", "worker", "indexer"):
            with self.searching(world, report, f"kill -9 of {component}", tries=2) as account:
                (pod, *_) = world.namespace.pods(f"omma.io/component={component}")
                name = pod["metadata"]["name"]
                world.namespace.kubectl("delete", "pod", name, "--grace-period=0", "--force")
                began = time.monotonic()
                until("its successor", world.namespace.all_ready)
                report("seconds to full strength", round(time.monotonic() - began))
            self.must_be_whole(account)

    @long
    def test_a_shard_that_is_killed_whole_comes_back_whole(
        self, world: World, report: Callable[[str, object], None]
    ) -> None:
        with self.searching(world, report, "kill -9 of both replicas of a shard", tries=2) as account:
            gone = [pod["metadata"]["name"] for pod in world.namespace.pods("omma.io/shard=0")]
            assert len(gone) == 2
            began = time.monotonic()
            world.namespace.kubectl("delete", "pod", *gone, "--grace-period=0", "--force")
            until("an answer without them", lambda: account.partial)
            until("their successors", world.namespace.all_ready)
        report("seconds to coverage 1.0", round(account.partial_at - began))
        assert account.failed == [] and account.lost == []
        assert not not_found(world.rest, KEY, self.stored[::10])

    @long
    def test_certificates_of_another_authority_cost_no_search_and_no_restart(
        self, world: World, report: Callable[[str, object], None]
    ) -> None:
        before, former = world.uids(), world.authority
        coming = Authority.made(world.folder / "coming")
        with self.searching(world, report, "certificates from one authority to another") as account:
            for signs, trusted in ((former, coming), (coming, former), (coming, None)):
                wanted = world.certify(signs, *([trusted] if trusted else []))
                world.namespace.sync_now()
                for pod in world.namespace.pods("omma.io/component in (egs, shard, gateway)"):
                    until("the new certificate", lambda: self.certificate_of(world, pod, signs) == wanted)  # noqa: B023
        assert before == world.uids()
        self.must_be_whole(account)
        with pytest.raises(OSError):
            self.certificate_of(world, world.namespace.pods("omma.io/component=shard")[0], former)
        world.authority = coming

    @long
    def test_an_upgrade_and_its_rollback_cost_no_search(
        self, world: World, report: Callable[[str, object], None]
    ) -> None:
        before, revision = world.uids(), self.deployed(world)
        with self.searching(world, report, "upgrade of every pod, and rollback") as account:
            changed: dict[str, object] = {"podAnnotations": {"omma.test/round": "2"}}
            if CHANGED_IMAGE:
                changed["image"] = image(CHANGED_IMAGE)
            world.namespace.release("upgrade", {**world.values, **changed})
            until("the upgrade", world.namespace.all_ready)
            assert not before & world.uids()
            if CHANGED_IMAGE:
                assert self.version(world) == CHANGED_IMAGE.rpartition(":")[2] and world.schema() == REVISION
                with pytest.raises(Failed, match=f"{REVISION}, of a later version of Omma"):
                    world.namespace.release("upgrade", world.values)
            self.roll_back(world, revision)
            until("the rollback", world.namespace.all_ready)
        self.must_be_whole(account)
        if CHANGED_IMAGE:
            assert self.version(world) == IMAGE.rpartition(":")[2] and world.schema() == REVISION
            (pod, *_) = world.namespace.pods("omma.io/component=gateway")
            said = world.namespace.kubectl("logs", pod["metadata"]["name"])
            assert f"{REVISION}, of a later version of Omma than this one. It is used as it is." in said
            world.namespace.release("upgrade", world.values)  # the same image: nothing goes back

    @long
    def test_a_second_index_goes_from_canary_to_live_and_back(
        self, world: World, report: Callable[[str, object], None]
    ) -> None:
        before, (main, *_) = world.uids(), world.values["indexes"]
        world.values = {**world.values, "indexes": [main, {**main, "name": "wide", "shards": 3, "replicas": 1}]}
        world.certify(world.authority)
        world.namespace.release("upgrade", world.values, "--wait=false")
        began = time.monotonic()
        until("its pods", lambda: len(world.namespace.pods("omma.io/index=wide")) == 3)
        world.namespace.sync_now()
        with (
            self.searching(world, report, "a second index, from canary to live and back") as account,
            world.client() as client,
        ):

            def step(name: str, **body: object) -> str:
                answer = client.post(f"/rollouts/{rollout}/{name}", json=body)
                assert answer.is_success, answer.text
                epoch = answer.json()["routing"]["epoch"]
                until("every gateway", lambda: min(status()["routing"]["followers"].values()) >= epoch)
                return str(client.get("/search", params={"text": "dog", "timeout_ms": 30_000}).json()["index"])

            def begun() -> str:
                answer = client.post("/rollouts", json={"index": "wide", "shards": 3})
                assert answer.is_success, answer.text
                return str(answer.json()["id"])

            def status() -> dict[str, Any]:
                return dict(client.get(f"/rollouts/{rollout}").json())

            rollout = until("the topology at a gateway", begun)
            until("a whole candidate", lambda: status()["state"] == "shadow")
            until("its pods", world.namespace.all_ready)
            report("seconds from a second entry to a candidate in the shadow", round(time.monotonic() - began))
            step("canary", share=50, force=True)
            assert step("promote", reason="wider") == "wide"
            assert step("rollback", reason="too wide") == "main"
        self.must_be_whole(account)
        assert before <= world.uids()

    @long
    def test_an_index_that_can_be_gone_back_to_keeps_its_pods(self, world: World) -> None:
        before, (main, _) = world.uids(), world.values["indexes"]
        said = "Index wide is standby and would lose its processes"
        with pytest.raises(Failed, match=said):
            world.namespace.release("upgrade", {**world.values, "indexes": [main]})
        with pytest.raises(Failed, match=said):
            self.roll_back(world, self.deployed(world) - 1)
        # Helm takes it for under way, and a rollback to what runs would fail at the budgets, which it takes for new.
        world.namespace.kubectl("delete", "secret", "-l", "owner=helm,name=r,status=pending-rollback")
        assert before <= world.uids()
        with world.client() as client:
            (rollout, *_) = client.get("/rollouts").json()["rollouts"]
            assert client.post(f"/rollouts/{rollout['id']}/retire", json={"yes": True}).is_success
        world.values = {**world.values, "indexes": [main]}
        world.namespace.release("upgrade", world.values)
        until("the end of its pods", lambda: not world.namespace.pods("omma.io/index=wide"))
        assert not not_found(world.rest, KEY, self.stored[::10])

    @long
    def test_another_release_works_beside_it_and_every_picture_is_there_in_the_end(
        self,
        world: World,
        servers: Servers,
        program: Path,
        tmp_path: Path,
        report: Callable[[str, object], None],
    ) -> None:
        with made(servers, program, "beside", tmp_path) as beside:
            one = {**beside.values["indexes"][0], "replicas": 1, "shards": 1}
            parts = {name: {**beside.values[name], "replicas": 1} for name in ("gateway", "egs", "indexer", "worker")}
            said = beside.namespace.release("install", {**beside.values, **parts, "indexes": [one]})
            assert "each shard of the index main has one replica" in said
            until("an answer", beside.healthy)
            with beside.client() as client:
                assert client.get("/images").json()["count"] == 0
            began = time.monotonic()
            assert not not_found(world.rest, KEY, self.stored)
        report(f"seconds in which {len(self.stored)} were found afterwards", round(time.monotonic() - began))

    def searching(
        self, world: World, report: Callable[[str, object], None], what: str, tries: int = 1
    ) -> AbstractContextManager[Account]:
        return reported(searches(world.rest, KEY, self.stored, tries=tries), report, what)

    @staticmethod
    def certificate_of(world: World, pod: dict[str, Any], authority: Authority) -> bytes:
        """What the pod shows a caller whom this authority signed for, as PEM.

        Raises OSError for a caller whom it does not trust.
        """
        certificate, key = authority.signed("DNS:caller")
        (world.folder / "caller.crt").write_bytes(certificate)
        (world.folder / "caller.key").write_bytes(key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(world.folder / "caller.crt", world.folder / "caller.key")
        with (
            socket.create_connection((pod["status"]["podIP"], 9090), 10) as plain,
            context.wrap_socket(plain) as wrapped,
        ):
            wrapped.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
            if not wrapped.recv(1):
                raise ConnectionError("the caller is refused")
            return ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(True) or b"").encode()

    @staticmethod
    def roll_back(world: World, revision: int) -> None:
        """Raises Failed."""
        command = ("rollback", "r", str(revision), "--wait", "--timeout", f"{WAIT_SECONDS:.0f}s")
        ask(world.namespace.helm, "-n", world.namespace.name, *command)

    @staticmethod
    def deployed(world: World) -> int:
        """The revision that runs."""
        history = json.loads(ask(world.namespace.helm, "-n", world.namespace.name, "history", "r", "-o", "json"))
        return max(one["revision"] for one in history if one["status"] == "deployed")

    @staticmethod
    def version(world: World) -> str:
        """What a gateway runs."""
        (pod, *_) = world.namespace.pods("omma.io/component=gateway")
        asked = "import importlib.metadata as m; print(m.version('omma'))"
        return world.namespace.kubectl("exec", pod["metadata"]["name"], "--", "python", "-c", asked).strip()

    def must_find(self, world: World, stored: Stored) -> None:
        """Each of them, with nothing left out of any answer."""
        left = stored

        def sought() -> bool:
            nonlocal left
            left = not_found(world.rest, KEY, left)
            return not left

        until("every picture", sought, 2 * WAIT_SECONDS)

    @staticmethod
    def must_be_whole(account: Account) -> None:
        assert account.answered > 10
        assert account.failed == []
        assert account.lost == [] and account.partial == 0
