"""Parts of the command: background work, errors as exit codes, the data folder's lock."""

import asyncio
from pathlib import Path

import pytest
import typer

from omma.background import running
from omma.errors import Absent, InvalidQuery, Kind, WrongState
from services.standalone.data_dir import DataDir, ServerAddress
from services.standalone.output import EXIT_CODES, run


async def test_an_error_of_the_block_stays_what_it_is_and_the_parts_are_ended():
    ended = asyncio.Event()

    async def part() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(Absent):
        async with running(part, part):
            await asyncio.sleep(0)
            raise Absent("gone")
    assert ended.is_set()


async def test_a_part_that_fails_ends_the_block_with_its_error():
    async def part() -> None:
        raise WrongState("no more")

    with pytest.raises(WrongState):
        async with running(part):
            await asyncio.Event().wait()


async def test_the_parts_end_with_the_block():
    ended = []

    async def part() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async with running(part):
        await asyncio.sleep(0)
    assert ended == [True]


def test_every_kind_but_a_bug_has_its_exit_code():
    assert set(Kind) - EXIT_CODES.keys() == {Kind.BUG}
    assert not {0, 1, 130} & set(EXIT_CODES.values())


def test_an_error_becomes_one_line_and_its_exit_code(capsys: pytest.CaptureFixture[str]):
    async def work() -> None:
        raise Absent("There is no picture 3.", field="id")

    with pytest.raises(typer.Exit) as left:
        run(work())
    assert left.value.exit_code == 3
    assert capsys.readouterr().err.strip() == "absent (id): There is no picture 3."


def test_a_folder_is_held_once_and_says_where_it_is_served(tmp_path: Path):
    data = DataDir(tmp_path / "data")
    address = ServerAddress("http://127.0.0.1:1", "127.0.0.1:2", 3)
    assert data.served_at() is None
    with data.held():
        data.announce(address)
        assert data.served_at() == address
        with pytest.raises(WrongState, match=r"http://127\.0\.0\.1:1"), data.held():
            pass
    assert data.served_at() is None
    with data.held():
        pass


def test_an_address_left_by_a_crash_is_not_believed(tmp_path: Path):
    data = DataDir(tmp_path)
    with data.held():
        data.announce(ServerAddress("http://127.0.0.1:1", "", 3))
        left_behind = (tmp_path / "server.json").read_text()
    (tmp_path / "server.json").write_text(left_behind)
    assert data.served_at() is None


def test_an_address_that_cannot_be_taken_back_ends_nothing_and_is_not_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    data, address = DataDir(tmp_path), tmp_path / "server.json"
    with data.held():
        address.mkdir()  # which unlink refuses, as it does a file of a disk that is read-only
    assert [(one.levelname, str(address) in one.getMessage()) for one in caplog.records] == [("ERROR", True)]
    assert data.served_at() is None
    with pytest.raises(InvalidQuery, match="cannot be used"), data.held():
        pass
