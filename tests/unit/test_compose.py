"""deploy/compose/ and the Dockerfile say only what is so: settings, addresses, ports, files, versions."""

import importlib.util
import json
import os
import re
from collections.abc import Mapping
from typing import Any

import pytest

from deploy.compose import settings as written
from omma.rpc.server import LIVENESS
from omma.settings import warn_unknown_names
from services.gateway.main import GatewayProcess
from services.gateway.search.query import MAX_TIMEOUT_MS
from services.indexer.main import IndexerProcess
from services.nn_shard.main import ShardProcess
from services.standalone.settings import StandaloneSettings
from tests.conftest import ROOT
from tests.nginx import CONFIGURATION

SERVICES: Mapping[str, Mapping[str, Any]] = written.compose()["services"]
ENVIRONMENTS = written.environments()
TOLD = {"POSTGRES_PASSWORD": "p", "MINIO_USER": "omma", "MINIO_PASSWORD": "secret-enough"}
ONE_SHOT = {"certificate", "omma", "triton-models"}


def interpolated(value: str) -> str:
    """As Compose does it for ${NAME:-default} and ${NAME:?words}, the forms that are used here."""
    return re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda found: TOLD.get(found[1], found[2] or ""), value)


def read_by(service: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The settings that the service's process makes of its environment."""
    for name, value in ENVIRONMENTS[service].items():
        monkeypatch.setenv(name, interpolated(value))
    return written.PROCESS_OF[SERVICES[service]["command"][-1]](_env_file=None)


@pytest.fixture(autouse=True)
def no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OMMA_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("service", ENVIRONMENTS)
def test_each_process_takes_its_environment_and_every_name_in_it(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = read_by(service, monkeypatch)
    assert warn_unknown_names(read.known_names(), ENVIRONMENTS[service]) == []
    assert set(ENVIRONMENTS[service]) - {"TMPDIR"} <= read.known_names()
    assert (read.bind, read.grpc_port) == ("0.0.0.0", 9090)


def test_commands_take_the_storage_s_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = SERVICES["omma"]["environment"]
    for name, value in environment.items():
        monkeypatch.setenv(name, interpolated(value))
    read = StandaloneSettings(_env_file=None)
    assert warn_unknown_names(read.known_names(), environment) == []
    assert read.postgres and read.kafka and read.s3 and not read.url


@pytest.mark.parametrize("service", ENVIRONMENTS)
def test_each_command_is_a_process_of_this_repository(service: str) -> None:
    python, _, module = SERVICES[service]["command"]
    assert python == "python" and importlib.util.find_spec(f"{module}.__main__")


def test_omma_env_shows_every_other_setting_and_sets_none() -> None:
    lines = (written.FOLDER / "omma.env").read_text().splitlines()
    assert all(not line or line.startswith("#") for line in lines)
    shown = {line[1:].partition("=")[0] for line in lines if line.startswith("#OMMA_")}
    assert shown == written.open_names(), "run `python -m deploy.compose.settings`"


def test_processes_take_the_defaults_that_omma_env_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every # removed that has a value after it, but of a section that counts only with an address."""
    untouched = {service: read_by(service, monkeypatch) for service in ENVIRONMENTS}
    for line in (written.FOLDER / "omma.env").read_text().splitlines():
        name, _, value = line.removeprefix("#").partition("=")
        if line.startswith("#OMMA_") and value and not name.startswith("OMMA_CLAMD__"):
            monkeypatch.setenv(name, value)
    for service, before in untouched.items():
        assert read_by(service, monkeypatch) == before, service


def test_the_gateway_and_the_indexer_are_told_where_the_shards_are(monkeypatch: pytest.MonkeyPatch) -> None:
    replicas: dict[int, dict[int, str]] = {}
    for service in ENVIRONMENTS:
        if service.startswith("shard-"):
            shard = read_by(service, monkeypatch)
            assert isinstance(shard, ShardProcess) and shard.shard.replica is not None
            replicas.setdefault(shard.shard.number, {})[shard.shard.replica] = f"{service}:{shard.grpc_port}"
    gateway, indexer = read_by("gateway", monkeypatch), read_by("indexer", monkeypatch)
    assert isinstance(gateway, GatewayProcess) and isinstance(indexer, IndexerProcess)
    assert gateway.gateway.shards == tuple(
        tuple(replicas[number][replica] for replica in range(2)) for number in range(4)
    )
    assert indexer.indexer.shards == tuple(replicas[number][0] for number in range(4))
    assert {gateway.gateway.egs, indexer.indexer.egs} == {"egs:9090"}


def test_replicas_share_no_disk() -> None:
    disks = [SERVICES[name]["volumes"] for name in ENVIRONMENTS if name.startswith("shard-")]
    assert len({disk.partition(":")[0] for own in disks for disk in own}) == len(disks)


def test_nginx_listens_where_it_is_published_and_asks_the_gateway_where_it_listens() -> None:
    conf = CONFIGURATION.read_text()
    published = {port.rpartition(":")[2] for port in SERVICES["nginx"]["ports"]}
    assert set(re.findall(r"listen (\d+) ssl", conf)) == published
    asked = set(re.findall(r"set \$gateway (\S+);", conf))
    environment = ENVIRONMENTS["gateway"]
    assert asked == {f"gateway:{environment['OMMA_HTTP_PORT']}", f"gateway:{environment['OMMA_GRPC_PORT']}"}
    assert [service for service, said in SERVICES.items() if "ports" in said] == ["nginx"]


def test_the_gateway_waits_for_the_longest_search_and_nginx_longer() -> None:
    waits = re.findall(r"(?:proxy|grpc)_read_timeout (\d+)s;", CONFIGURATION.read_text())
    assert len(waits) == 2 and all(int(wait) > MAX_TIMEOUT_MS / 1000 for wait in waits)


def test_every_service_is_bounded_restarted_watched_and_pinned() -> None:
    for name, said in SERVICES.items():
        assert said["mem_limit"], name
        assert said["restart"] == ("no" if name in ONE_SHOT else "unless-stopped"), name
        assert said["healthcheck"].get("disable", False) == (name in ONE_SHOT), name
        version = said["image"].rpartition(":")[2]
        assert version[0].isdigit() or version.startswith("RELEASE."), name
        for needed, how in said.get("depends_on", {}).items():
            asked = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
            assert how["condition"] == asked, (name, needed)
    volumes = {
        volume.partition(":")[0]
        for said in SERVICES.values()
        for volume in said.get("volumes", ())
        if not volume.startswith(".")
    }
    assert volumes == set(written.compose()["volumes"])


def test_example_env_names_what_compose_asks_for() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (written.FOLDER / "compose.yaml").read_text()))
    example = (written.FOLDER / "example.env").read_text()
    shown = set(re.findall(r"^#?(\w+)=", example, re.MULTILINE))
    assert asked == shown - {"COMPOSE_PROFILES"}
    required = set(re.findall(r"\$\{(\w+):\?", (written.FOLDER / "compose.yaml").read_text()))
    assert required == set(re.findall(r"^(\w+)=", example, re.MULTILINE)) == set(TOLD)


def test_the_image_copies_what_there_is_and_asks_for_liveness() -> None:
    build = SERVICES["gateway"]["build"]
    assert (written.FOLDER / build["context"]).resolve() == ROOT
    dockerfile = (ROOT / build["dockerfile"]).read_text()
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == sent and all((ROOT / source).exists() for source in copied)
    health = json.loads(re.search(r"HEALTHCHECK .*CMD (\[.*\])", dockerfile)[1])
    assert health == ["python", "-m", "omma.rpc.probe", LIVENESS]
    assert importlib.util.find_spec("omma.rpc.probe")
    assert re.search(r"^USER 10001:10001$", dockerfile, re.MULTILINE)
    assert (ROOT / "deploy/compose/certificate").stat().st_mode & 0o111


def test_the_image_has_the_versions_that_are_tested() -> None:
    def pins(lock: str) -> dict[str, str]:
        return dict(re.findall(r"^([^\s=]+)==(\S+)", (ROOT / "locks" / lock).read_text(), re.MULTILINE))

    image, tested = pins("cluster.txt"), pins("dev.txt")
    assert {name: tested.get(name) for name in image} == image
    assert pins("base.txt").keys() | {"aiokafka", "asyncpg", "boto3", "tritonclient"} <= image.keys()
