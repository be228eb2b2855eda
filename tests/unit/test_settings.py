"""OMMA_* names: what is read, what is warned about, what is out of bounds."""

import importlib
import logging
from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from deploy.compose.settings import PROCESS_OF
from omma.images import DEFAULT_LIMITS, PictureLimits
from omma.process import ProcessSettings
from omma.settings import FORMER, Section, Settings, warn_unknown_names
from services.rerank.main import RerankProcess
from services.standalone.settings import StandaloneSettings
from tests.conftest import ROOT
from tests.unit.settings_readers import Readers, unread


class Shard(Section):
    effort: int = Field(default=3, ge=1, le=10)


class Example(Settings):
    data_dir: Path = Path("data")
    shard: Shard = Shard()


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No .env of the machine that tests run on."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_names_nest_with_two_underscores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMMA_SHARD__EFFORT", "7")
    assert Example().shard.effort == 7


def test_the_environment_goes_before_the_file(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_folder / ".env").write_text("OMMA_DATA_DIR=/from-file\nOMMA_SHARD__EFFORT=2\n")
    monkeypatch.setenv("OMMA_SHARD__EFFORT", "7")
    settings = Example()
    assert (settings.data_dir, settings.shard.effort) == (Path("/from-file"), 7)


@pytest.mark.parametrize("value", ["0", "11", "many", ""])
def test_a_number_out_of_bounds_stops_the_start(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMMA_SHARD__EFFORT", value)
    with pytest.raises(ValidationError, match="effort"):
        Example()


def test_settings_do_not_change_after_the_start() -> None:
    with pytest.raises(ValidationError):
        Example().data_dir = Path("elsewhere")
    with pytest.raises(ValidationError):
        Example().shard.effort = 5


def test_an_unknown_name_is_warned_about_with_the_nearest_known(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        messages = warn_unknown_names(
            Example.known_names(), {"OMMA_DATA_DRI": "x", "OMMA_SHARD__EFORT": "3", "OMMA_DATA_DIR": "y", "PATH": "z"}
        )
    assert messages == [
        "OMMA_DATA_DRI is no setting of Omma; did you mean OMMA_DATA_DIR?",
        "OMMA_SHARD__EFORT is no setting of Omma; did you mean OMMA_SHARD__EFFORT?",
    ]
    assert caplog.messages == messages


def test_another_services_section_is_passed_over() -> None:
    given = {"OMMA_EGS__THREADS": "3", "OMMA_GATEWAY__ANYTHING": "1", "OMMA_SHARD__NOTHING": "1"}
    messages = warn_unknown_names(Example.known_names(), given)
    assert [message.split()[0] for message in messages] == ["OMMA_SHARD__NOTHING"]


def test_an_unknown_name_in_the_file_is_warned_about(empty_folder: Path) -> None:
    (empty_folder / ".env").write_text("OMMA_DATA_DRI=x\n")
    assert len(warn_unknown_names(Example.known_names())) >= 1


def test_every_number_of_the_processes_has_bounds() -> None:
    assert "OMMA_GRPC_PORT" in RerankProcess.known_names()
    assert "OMMA_RERANK__POLICIES" in RerankProcess.known_names()
    with pytest.raises(ValidationError):
        ProcessSettings(grpc_port=65_536)


def test_an_ipv6_address_is_bracketed() -> None:
    assert ProcessSettings(bind="::1", grpc_port=9090).grpc_address == "[::1]:9090"
    assert ProcessSettings(bind="127.0.0.1", grpc_port=0).grpc_address == "127.0.0.1:0"


def test_policies_come_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMMA_RERANK__POLICIES", '[{"name": "shop", "version": 2, "blocked_domains": ["Spam.Example"]}]')
    [policy] = RerankProcess().rerank.policies
    assert (policy.id, policy.blocked_domains) == ("shop@2", {"spam.example"})


PROCESSES_OF_PICTURES = {
    "services.standalone.settings": "StandaloneSettings",
    "services.egs.main": "EgsProcess",
    "services.gateway.main": "GatewayProcess",
    "services.indexer.main": "IndexerProcess",
}
NEEDED = {
    "OMMA_GATEWAY__EGS": "egs:1",
    "OMMA_GATEWAY__SHARDS": '[["shard:1"]]',
    "OMMA_INDEXER__EGS": "egs:1",
}


def limits_of(module: str, monkeypatch: pytest.MonkeyPatch) -> PictureLimits:
    for name, value in NEEDED.items():
        if f"services.{name.split('_')[1].lower()}." in module:
            monkeypatch.setenv(name, value)
    read = getattr(importlib.import_module(module), PROCESSES_OF_PICTURES[module])()
    limits = read.pictures
    assert isinstance(limits, PictureLimits)
    return limits


@pytest.mark.parametrize("module", PROCESSES_OF_PICTURES)
@pytest.mark.parametrize(
    ("name", "field"),
    [
        (former, now.rpartition("__")[2].lower())
        for former, now in FORMER.items()
        if now and now.startswith("OMMA_PICTURES")
    ]
    + [("OMMA_PICTURES__MAX_PIXELS", "max_pixels"), ("OMMA_PICTURES__MAX_BYTES", "max_bytes")],
)
def test_a_limit_of_pictures_that_is_set_once_reaches_every_process(
    module: str, name: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "250000000")
    limits = limits_of(module, monkeypatch)
    assert getattr(limits, field) == 250_000_000
    assert limits.model_copy(update={field: getattr(DEFAULT_LIMITS, field)}) == DEFAULT_LIMITS


@pytest.mark.parametrize("module", ["services.standalone.settings", "services.gateway.main"])
def test_the_limits_of_descriptions_keep_their_former_names(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NEEDED.items():
        if f"services.{name.split('_')[1].lower()}." in module:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("OMMA_GATEWAY__MAX_TAGS", "7")
    monkeypatch.setenv("OMMA_GATEWAY__MAX_ATTRIBUTES_BYTES", "70")
    read = getattr(importlib.import_module(module), PROCESSES_OF_PICTURES[module])()
    assert (read.description.tags, read.description.attributes_bytes) == (7, 70)


@pytest.mark.parametrize("module", PROCESSES_OF_PICTURES)
def test_a_limit_that_is_no_more_does_not_stop_the_start(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMMA_GATEWAY__MAX_PICTURE_FRAMES", "64")
    monkeypatch.setenv("OMMA_EGS__MAX_FRAMES", "64")
    assert limits_of(module, monkeypatch) == DEFAULT_LIMITS


def test_the_present_name_goes_before_a_former_one_and_the_environment_before_the_file(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / ".env").write_text("OMMA_PICTURES__MAX_PIXELS=2000000\nOMMA_EGS__MAX_BYTES=3000000\n")
    assert limits_of("services.egs.main", monkeypatch).max_bytes == 3_000_000
    monkeypatch.setenv("OMMA_GATEWAY__MAX_PICTURE_PIXELS", "4000000")
    assert limits_of("services.egs.main", monkeypatch).max_pixels == 4_000_000
    monkeypatch.setenv("OMMA_PICTURES__MAX_PIXELS", "5000000")
    assert limits_of("services.egs.main", monkeypatch).max_pixels == 5_000_000


def test_former_names_are_told_apart_from_unknown_ones() -> None:
    given = {"OMMA_GATEWAY__MAX_PICTURE_PIXELS": "1", "OMMA_EGS__MAX_FRAMES": "1"}
    assert warn_unknown_names({"OMMA_PICTURES__MAX_PIXELS"}, given) == [
        "OMMA_EGS__MAX_FRAMES is no setting any more: nothing is limited by it.",
        "OMMA_GATEWAY__MAX_PICTURE_PIXELS is now called OMMA_PICTURES__MAX_PIXELS; it still works.",
    ]
    assert warn_unknown_names({"OMMA_BIND"}, {"OMMA_GATEWAY__MAX_PICTURE_PIXELS": "1"}) == []


@pytest.fixture(scope="module")
def readers() -> Readers:
    return Readers(ROOT, ["omma", "services"])


def test_the_walk_knows_a_setting_that_nothing_reads(readers: Readers) -> None:
    class Process(RerankProcess):
        idle_seconds: float = 1.0
        shard: Shard = Shard()

    assert unread(readers, Process) == ["Process.idle_seconds", "Process.shard", "Shard.effort"]


@pytest.mark.parametrize("process", [*PROCESS_OF.values(), StandaloneSettings])
def test_every_setting_has_a_reader(process: type[Settings], readers: Readers) -> None:
    assert unread(readers, process) == []
