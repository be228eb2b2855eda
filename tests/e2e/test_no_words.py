"""What a model does not know, words and what it learnt from: the same refusal on every face."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from omma import Client
from omma.errors import NoTextTower
from omma.v1 import search_pb2, search_pb2_grpc
from tests.e2e.process import Folder, Server
from tests.teacher import register_teacher


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, teacher_model: Path) -> Folder:
    folder = Folder(tmp_path_factory.mktemp("omma"))
    register_teacher(teacher_model, folder.path / "models")
    return folder


@pytest.fixture(scope="module")
def server(folder: Folder) -> Iterator[Server]:
    with folder.up(OMMA_MODEL="mobilenet-edgetpu") as running:
        yield running


@pytest.mark.parametrize("path", ["/search", "/embed/text"])
def test_rest_says_409_and_names_the_field(server: Server, path: str) -> None:
    answer = httpx.post(f"{server.url}{path}", json={"text": "a red chair"})
    problem = answer.json()
    assert (answer.status_code, problem["kind"], problem["field"]) == (409, "model_has_no_text_tower", "text")


def test_it_does_not_say_what_it_was_trained_on_either(server: Server) -> None:
    answer = httpx.get(f"{server.url}/qa/anomalies", params={"by": "training"})
    problem = answer.json()
    assert (answer.status_code, problem["kind"], problem["field"]) == (409, "wrong_state", "by")


def test_grpc_says_failed_precondition(server: Server) -> None:
    request = search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(text="a chair")])
    with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError) as refused:
        search_pb2_grpc.SearchServiceStub(channel).Search(request, timeout=20)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert ("omma-field", "text") in refused.value.trailing_metadata()


def test_the_sdk_and_the_command_say_it(folder: Folder, server: Server) -> None:
    with Client(server.url) as omma, pytest.raises(NoTextTower):
        omma.search(text="a red chair")
    done = folder.run("search", "--text", "a barrel")
    assert done.returncode == 4 and "model_has_no_text_tower" in done.stderr
