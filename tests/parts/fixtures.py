"""pytest's face of the parts: one server of each kind a session; tests keep apart by topic, bucket and database names.

A part that is missing skips its tests, and the summary says how to get it; with CI=true it fails them.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import NoReturn, TypeVar

import pytest

from tests import parts

P = TypeVar("P")

_missing: dict[str, str] = {}


@pytest.fixture(scope="session")
def kafka() -> Iterator[parts.Kafka]:
    yield from _started(parts.kafka)


@pytest.fixture(scope="session")
def minio() -> Iterator[parts.Minio]:
    yield from _started(parts.minio)


@pytest.fixture(scope="session")
def postgres() -> Iterator[parts.Postgres]:
    yield from _started(lambda: parts.postgres(fsync=False))


@pytest.fixture(scope="session")
def toxiproxy() -> Iterator[parts.Toxiproxy]:
    yield from _started(parts.toxiproxy)


def _started(start: Callable[[], AbstractContextManager[P]]) -> Iterator[P]:
    with ExitStack() as running:
        try:
            part = running.enter_context(start())
        except parts.PartMissing as missing:
            skip_without(missing)
        yield part


def skip_without(missing: parts.PartMissing) -> NoReturn:
    """Skip the test, or fail it when CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have this part. {missing}", pytrace=False)
    _missing[missing.what] = missing.remedy
    pytest.skip(str(missing))


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
