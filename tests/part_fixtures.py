"""pytest's face of the parts: one server of each kind a session; tests keep apart by topic, bucket and database names.

A part that is missing skips its tests, and the summary says how to get it; with CI=true it fails them.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import pytest

from deploy import parts
from deploy.parts.helm import install_helm, install_kubernetes_schemas
from deploy.parts.kafka import install_kafka
from deploy.parts.minio import install_minio
from deploy.parts.toxiproxy import install_toxiproxy
from deploy.parts.triton import install_triton

P = TypeVar("P")

_missing: dict[str, str] = {}

_INSTALLS: Final[dict[str, tuple[str, Callable[[], Path]]]] = {
    "helm": ("OMMA_TEST_HELM", install_helm),
    "kubernetes_schemas": ("OMMA_TEST_KUBERNETES_SCHEMAS", install_kubernetes_schemas),
    "kafka": ("OMMA_TEST_KAFKA", install_kafka),
    "minio": ("OMMA_TEST_S3", install_minio),
    "toxiproxy": ("OMMA_TEST_TOXIPROXY", install_toxiproxy),
    "triton": ("OMMA_TEST_TRITON", install_triton),
}
"""By fixture: what names a server that is given, and what gets the part."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Parts are got before the tests that ask for them, with CI=true all of them: a build takes minutes (MinIO: two on
    two idle cores), and a test's timeout counts its fixtures too.
    """
    if session.config.option.collectonly or not session.items:
        return
    asked = {name for item in session.items if isinstance(item, pytest.Function) for name in item.fixturenames}
    every = os.environ.get("CI") == "true" and bool(asked & _INSTALLS.keys())
    for name, (given, install) in _INSTALLS.items():
        if (every or name in asked) and not os.environ.get(given):
            with suppress(parts.PartMissing):  # the fixture says so
                install()


@pytest.fixture(scope="session")
def helm() -> Path:
    """Helm's program."""
    try:
        return Path(os.environ.get("OMMA_TEST_HELM") or install_helm())
    except parts.PartMissing as missing:
        skip_without(missing)


@pytest.fixture(scope="session")
def kubernetes_schemas() -> Path:
    """The OpenAPI document of Kubernetes' own resources."""
    try:
        return Path(os.environ.get("OMMA_TEST_KUBERNETES_SCHEMAS") or install_kubernetes_schemas())
    except parts.PartMissing as missing:
        skip_without(missing)


@pytest.fixture(scope="session")
def promtool() -> Path:
    return _on_path("promtool")


@pytest.fixture(scope="session")
def prometheus() -> Path:
    return _on_path("prometheus")


@pytest.fixture(scope="session")
def kafka() -> Iterator[parts.Kafka]:
    yield from started(parts.kafka)


@pytest.fixture(scope="session")
def minio() -> Iterator[parts.Minio]:
    yield from started(parts.minio)


@pytest.fixture(scope="session")
def postgres() -> Iterator[parts.Postgres]:
    yield from started(lambda: parts.postgres(fsync=False))


@pytest.fixture(scope="session")
def toxiproxy() -> Iterator[parts.Toxiproxy]:
    yield from started(parts.toxiproxy)


def started(start: Callable[[], AbstractContextManager[P]]) -> Iterator[P]:
    """For a fixture: the part while it runs; where it is missing its tests are skipped, as skip_without."""
    with ExitStack() as running:
        try:
            part = running.enter_context(start())
        except parts.PartMissing as missing:
            skip_without(missing)
        yield part


def _on_path(program: str) -> Path:
    """One of Debian's package prometheus."""
    found = shutil.which(program)
    if found is None:
        skip_without(parts.PartMissing(program, "sudo apt-get install prometheus"))
    return Path(found)


def skip_without(missing: parts.PartMissing) -> NoReturn:
    """Skip the test, or fail it when CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have this part. {missing}", pytrace=False)
    _missing[missing.what] = missing.remedy
    pytest.skip(str(missing))


def left_out(what: str, remedy: str) -> NoReturn:
    """Skip the test, with CI=true too: of what no machine is asked to have. The summary names it."""
    _missing[what] = remedy
    pytest.skip(f"{what}: {remedy}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """A test that wants to kill a part which was given from outside is skipped too."""
    try:
        return (yield)
    except parts.PartMissing as missing:
        skip_without(missing)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _missing:
        terminalreporter.section("real parts that were not tested")
        for what, remedy in sorted(_missing.items()):
            terminalreporter.line(f"{what}: {remedy}")
