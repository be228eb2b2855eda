"""Bad input of rollouts on every face: a clear refusal that names the field, and nothing is changed by it."""

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from typer.testing import CliRunner

from omma import Client
from omma.errors import ERROR_OF_KIND, STATUS, Kind, OmmaError
from omma.v1 import search_pb2, search_pb2_grpc
from services.standalone.cli import command_line
from services.standalone.output import EXIT_CODES
from tests.e2e.process import Folder, Server
from tests.e2e.two_models import A, B, register_two
from tests.pictures import encoded, scene
from tests.waiting import until

pytestmark = pytest.mark.timeout(600)

DAMAGED = "tiny@3.0.0"
PICTURES = 8
START = "rollout start"
USERS = [f"user {n}" for n in range(40)]


@dataclass
class Faces:
    """REST, gRPC, the command and the SDK of one server."""

    rest: httpx.Client
    rpc: search_pb2_grpc.SearchServiceStub
    sdk: Client
    rollout: str = ""

    def ok(self, method: str, path: str, **options: Any) -> Any:
        answer = self.rest.request(method, path, **options)
        assert answer.is_success, answer.text
        return answer.json()

    def step(self, name: str, **body: Any) -> Any:
        """Taken, and followed by the gateway."""
        moved = self.ok("POST", f"/rollouts/{self.rollout}/{name}", json=body)
        until(lambda: min(self.shown()["routing"]["followers"].values()) >= moved["routing"]["epoch"], 300)
        return moved

    def shown(self) -> Any:
        return self.ok("GET", f"/rollouts/{self.rollout}")

    def state(self) -> Any:
        """What must not change: indexes, spaces, rollouts with their audit, experiments."""
        rollouts = [self.ok("GET", f"/rollouts/{one['id']}") for one in self.ok("GET", "/rollouts")["rollouts"]]
        return (
            [(one["id"], one["state"], one["shards"], one["factory"]) for one in self.ok("GET", "/indexes")["indexes"]],
            [one["id"] for one in self.ok("GET", "/spaces")["spaces"]],
            [
                (one["id"], one["state"], one["share"], one["changed_at_ms"], one["audit"], one["routing"]["epoch"])
                for one in rollouts
            ],
            self.ok("GET", "/experiments"),
        )

    def refused(self, kind: Kind, field: str, path: str, body: dict[str, Any], command: str = "") -> None:
        """By REST, and by the command where there is one, with one state before and after."""
        before = self.state()
        answer = self.rest.post(path, json=body)
        problem = answer.json()
        assert (answer.status_code, problem["kind"], problem.get("field")) == (STATUS[kind].http, kind, field), problem
        assert 400 <= answer.status_code < 500 and problem["detail"]
        if command:
            done = CliRunner().invoke(command_line(), command.split())
            assert done.exit_code == EXIT_CODES[kind], (command, done.output)
            assert f"{kind} ({field})" in done.output, done.output
        assert self.state() == before, path

    def step_refused(self, kind: Kind, field: str, name: str, **body: Any) -> None:
        """The same of a step of this rollout, whose command has the same words."""
        flags = "".join(f" --{option}" for option in ("yes", "force") if body.get(option))
        words = f"rollout {name} {body.get('share', '')}{flags}"
        self.refused(kind, field, f"/rollouts/{self.rollout}/{name}", body, words)

    def command_refused(self, *words: str, says: str = "") -> None:
        """Of what only a command can be told: one line, an exit code of bad input or of nothing there."""
        before = self.state()
        done = CliRunner().invoke(command_line(), ["rollout", *words])
        assert done.exit_code in (EXIT_CODES[Kind.INVALID_QUERY], EXIT_CODES[Kind.ABSENT]), (words, done.output)
        assert says in done.output and self.state() == before, (words, done.output)

    def search_refused(self, kind: Kind, field: str, **asked: Any) -> None:
        """A search, by REST, gRPC and the SDK."""
        before = self.state()
        answer = self.rest.post("/search", json=asked)
        assert (answer.status_code, answer.json()["kind"], answer.json()["field"]) == (STATUS[kind].http, kind, field)
        options = {name: value for name, value in asked.items() if name not in ("text", "image_id")}
        query = search_pb2.SearchQuery(text=asked.get("text", ""))
        if "image_id" in asked:
            query = search_pb2.SearchQuery(image_id=asked["image_id"])
        with pytest.raises(grpc.RpcError) as said:
            self.rpc.Search(search_pb2.SearchRequest(queries=[query], **options), timeout=30)
        assert said.value.code().name == STATUS[kind].grpc
        assert ("omma-field", field) in said.value.trailing_metadata()
        with pytest.raises(ERROR_OF_KIND[kind]) as raised:
            self.sdk.search(**asked)
        assert isinstance(raised.value, OmmaError) and raised.value.field == field
        assert self.state() == before


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faces]:
    models = tmp_path / "models"
    register_two(models)
    damaged = models / "tiny" / "3.0.0"
    shutil.copytree(models / "tiny" / "2.0.0", damaged)
    manifest = damaged / "manifest.json"
    manifest.write_text(manifest.read_text().replace("2.0.0", "3.0.0"))
    with (damaged / "image.onnx").open("ab") as file:
        file.write(b"\0")
    settings = {
        "OMMA_EGS__MODELS_DIR": str(models),
        "OMMA_WORKER__ROLLOUT_LOOK_SECONDS": "0.2",
        # A busy machine would be taken for a bad candidate.
        "OMMA_WORKER__JUDGE_SECONDS": "600",
    }
    with Folder(tmp_path / "data").up(**settings) as server:
        monkeypatch.setenv("OMMA_URL", server.url)
        yield from opened(server)


def opened(server: Server) -> Iterator[Faces]:
    with server.client() as rest, Client(server.url) as sdk, grpc.insecure_channel(server.grpc) as channel:
        faces = Faces(rest, search_pb2_grpc.SearchServiceStub(channel), sdk)
        for seed in range(PICTURES):
            made = faces.ok("POST", "/images", files={"image": encoded(scene(64, 48, seed))})
        faces.ok("POST", "/search", json={"image_id": 1, "receipts": [made["receipt"]], "timeout_ms": 60_000})
        yield faces


def judge_refused(faces: Faces, folder: Path) -> None:
    """Judgments that are none, by REST and as files."""
    at, query = f"/rollouts/{faces.rollout}/judgments", Kind.INVALID_QUERY
    for field, body in [
        ("labels", {}),
        ("labels.-1.[key]", {"labels": {"-1": "a", "1": "a"}}),
        ("labels.9223372036854775808.[key]", {"labels": {str(1 << 63): "a"}}),
        ("labels.a.[key]", {"labels": {"a": "b"}}),
        ("labels.1", {"labels": {"1": True}}),
        ("grades.1.2", {"grades": {"1": {"2": 6}}}),
        ("grades.1.2", {"grades": {"1": {"2": True}}}),
        ("grades", {"grades": {"1": {"2": 5}}}),
        ("labels", {"labels": {"1": "a", "2": "a"}}),
    ]:
        faces.refused(query, field, at, body)
    path = folder / "judgments.csv"
    for content in (
        b"\xff\xfe\0",
        b"1,2,good\n",
        b"1," + b"x" * 200_000,
        b"",
        b"picture,label\n",
        "²,a\n١,a\n".encode(),
    ):
        path.write_bytes(content)
        faces.command_refused("judge", str(path), says="invalid_query (")
    for missing in (str(folder), str(folder / "nowhere")):
        faces.command_refused("judge", missing, says="invalid_query (FILE)")


def test_every_line_of_bad_input_is_refused_on_every_face(faces: Faces, tmp_path: Path) -> None:
    (live,) = faces.ok("GET", "/indexes")["indexes"]
    (space,) = faces.ok("GET", "/spaces")["spaces"]
    start, query, state = Kind.WRONG_STATE, Kind.INVALID_QUERY, Kind.WRONG_STATE
    for kind, field, body, words in [
        (Kind.ABSENT, "model", {"model": "nobody@1.0.0"}, "--model nobody@1.0.0"),
        (start, "model", {"model": DAMAGED}, f"--model {DAMAGED}"),
        (start, "model", {"model": space["model"]}, f"--model {space['model']}"),
        (start, "index", {"index": live["id"], "codebook": "retrain"}, f"--index {live['id']} --codebook retrain"),
        (query, "index", {"index": "same", "shards": live["shards"]}, f"--index same --shards {live['shards']}"),
        (query, "shards", {"index": "wide", "shards": 257}, "--index wide --shards 257"),
        (query, "factory", {"index": "flat", "factory": "Flat"}, "--index flat --factory Flat"),
        (query, "model", {}, ""),
    ]:
        faces.refused(kind, field, "/rollouts", body, f"{START} {words}")
    for step in ("promote", "rollback", "retire", "pause", "abort"):
        faces.refused(Kind.ABSENT, "rollout", f"/rollouts/none/{step}", {}, f"rollout {step}")
    for id in ("..", "../keys", "a/../../erase", "none?x=1", "none#x", "%2e%2e"):
        faces.command_refused("promote", "--id", id)

    # Of another dimension and without a text tower: allowed, and said.
    begun = faces.ok("POST", "/rollouts", json={"model": B})
    faces.rollout, candidate = begun["id"], begun["candidate"]["id"]
    assert (begun["figures"]["preflight"]["words"], begun["figures"]["preflight"]["dim"]) == (False, 32)
    faces.step("pause")
    labels = {"labels": {str(id): "one" for id in range(1, 9)}}
    faces.refused(state, "state", f"/rollouts/{faces.rollout}/judgments", labels)
    for body, words in (({"model": A}, f"--model {A}"), ({"index": "wide", "shards": 2}, "--index wide --shards 2")):
        faces.refused(state, "rollout", "/rollouts", body, f"{START} {words}")
    experiment = {"name": "diverse", "arm": {"policy": "diverse"}}
    faces.refused(state, "rollout", "/experiments", experiment, "experiment start --name diverse --arm policy=diverse")
    for step, body in (("promote", {}), ("rollback", {}), ("retire", {"yes": True}), ("canary", {"share": 5})):
        faces.step_refused(state, "state", step, **body)
    for share in (0, 101, -1, math.inf, math.nan):
        sent = {"share": share if math.isfinite(share) else str(share)}  # JSON has no word for it
        faces.refused(query, "share", f"/rollouts/{faces.rollout}/canary", sent, f"rollout canary -- {share}")
    faces.search_refused(state, "index", image_id=1, index=candidate)

    faces.step("resume")
    until(lambda: bool(faces.shown()["state"] == "shadow"), 300)
    faces.step_refused(state, "gates", "canary", share=5)
    judge_refused(faces, tmp_path)
    for step in ("promote", "rollback", "retire", "pause"):
        faces.step_refused(state, "state", step)
    faces.step("canary", share=50, force=True)
    pages = {user: faces.ok("POST", "/search", json={"image_id": 1, "k": 2, "user_id": user}) for user in USERS}
    for user, page in pages.items():
        words = {"text": "red", "user_id": user}
        if page["index"] == live["id"]:
            assert faces.ok("POST", "/search", json=words)["index"] == live["id"]
    ours = next(user for user, page in pages.items() if page["index"] == candidate)
    theirs = next(user for user, page in pages.items() if page["index"] == live["id"])
    faces.search_refused(Kind.NO_TEXT_TOWER, "text", text="red", user_id=ours)
    faces.step_refused(state, "state", "retire", yes=True)
    faces.step("promote")
    faces.step_refused(state, "yes", "retire")
    faces.step("retire", yes=True)
    later = {"image_id": 1, "k": 2, "user_id": theirs, "cursor": pages[theirs]["next_cursor"]}
    faces.search_refused(Kind.CURSOR_EXPIRED, "cursor", **later)
    faces.search_refused(Kind.ABSENT, "index", image_id=1, index=live["id"])
    # Nothing to go back to any more, and nothing but the live index to retire.
    for step, body in (("rollback", {}), ("retire", {"yes": True}), ("promote", {}), ("canary", {"share": 5})):
        faces.step_refused(state, "state", step, **body)
