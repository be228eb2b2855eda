"""What lies on disk: checkpoints, corruption, crashes between steps."""

import contextlib
import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from omma.errors import Corrupt, WrongSpace, WrongState
from omma.identity import ImageId
from omma.index import IndexId
from services.nn_shard.engine import Checkpoint, Codebook, Engine, EngineSettings, SearchOptions
from services.nn_shard.engine.manifest import FileSum, dead_text, write_manifest
from services.nn_shard.engine.seen import SEEN, Seen
from services.nn_shard.engine.segment import file_sum
from services.nn_shard.training.fitting import train_codebook
from tests.unit.engine_lives import DIM, SPACE, TENANT, clustered, far, gone, maintain, opened, record

ROWS = clustered(200, seed=1)


@pytest.fixture
def codebook() -> Codebook:
    return train_codebook(clustered(600, seed=5), "OPQ8_16,IVF8,PQ8x8")


def filled(folder: Path, codebook: Codebook | None = None) -> Engine:
    engine = opened(folder, codebook)
    engine.apply([record(i + 1, row) for i, row in enumerate(ROWS)])
    return engine


def answers(engine: Engine) -> list[list[int]]:
    return [one.hits.ids.tolist() for one in engine.search(ROWS[:5], SearchOptions(TENANT, 5), far())]


@pytest.mark.parametrize("file", ["vectors", "codes", "columns", "payloads", "segment.json"])
def test_a_damaged_segment_is_dropped_and_a_replay_brings_it_back(
    tmp_path: Path, codebook: Codebook, file: str
) -> None:
    engine = filled(tmp_path, codebook)
    engine.checkpoint(engine.freeze(), {})
    wanted = answers(engine)
    damaged = next(tmp_path.glob(f"segments/*/{file}"))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    again = opened(tmp_path, codebook)
    assert again.dropped_segments == (damaged.parent.name,)
    again.apply([record(i + 1, row) for i, row in enumerate(ROWS)])
    assert again.counts().pictures == len(ROWS)
    assert answers(again) == wanted


@pytest.mark.parametrize("file", ["vectors", "codes", "columns", "payloads", "signatures", "segment.json"])
@pytest.mark.parametrize("how", ["flipped", "cut", "replaced"])
def test_what_changed_while_it_ran_is_damage_to_the_next_start(
    tmp_path: Path, codebook: Codebook, file: str, how: str
) -> None:
    """A checkpoint between the change and the start says nothing of files that it did not read."""
    engine = filled(tmp_path, codebook)
    engine.checkpoint(engine.freeze(), {})
    assert not opened(tmp_path, codebook).dropped_segments
    engine = opened(tmp_path, codebook)
    damaged = next(tmp_path.glob(f"segments/*/{file}"))
    before, content = damaged.stat(), bytearray(damaged.read_bytes())
    if how == "cut":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2] ^= 1
    if how == "flipped":
        damaged.write_bytes(content)
    else:  # another inode: what the engine has mapped stays
        (tmp_path / "copy").write_bytes(content)
        os.utime(tmp_path / "copy", ns=(before.st_atime_ns, before.st_mtime_ns))
        (tmp_path / "copy").replace(damaged)
    engine.apply([record(1_000, ROWS[0])])
    engine.checkpoint(engine.freeze(), {})
    again = opened(tmp_path, codebook)
    assert again.dropped_segments == (damaged.parent.name,)
    again.apply([record(i + 1, row) for i, row in enumerate(ROWS)])
    assert again.counts().pictures == len(ROWS) + 1


def test_every_file_is_read_again_a_week_later_whatever_checkpoints_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_800_000_000.0
    monkeypatch.setitem(Seen.__init__.__kwdefaults__, "clock", lambda: now)
    engine = filled(tmp_path)
    (first,) = engine.checkpoint(engine.freeze(), {}).segments
    for day in range(60):
        now += 86_400
        engine.apply([gone(day + 1, 2)])
        engine.checkpoint(engine.freeze(), {})
    read: list[str] = []

    def reading(path: Path, folder: Path) -> FileSum:
        read.append(path.relative_to(folder).as_posix())
        return file_sum(path, folder)

    monkeypatch.setattr("services.nn_shard.engine.segment.file_sum", reading)
    assert not opened(tmp_path).dropped_segments
    assert {one.path for one in first.files} <= set(read)
    read.clear()
    opened(tmp_path)
    assert read == [], "a minute later nothing is"


@pytest.mark.parametrize("file", ["columns", "segment.json"])
def test_a_file_of_the_right_checksum_that_cannot_be_read_as_what_it_is_is_damage(tmp_path: Path, file: str) -> None:
    engine = filled(tmp_path)
    made = engine.checkpoint(engine.freeze(), {})
    odd = next(tmp_path.glob(f"segments/*/{file}"))
    odd.write_bytes(odd.read_bytes()[:-100])
    (segment,) = made.segments
    sums = tuple(file_sum(tmp_path / one.path, tmp_path) for one in segment.files)
    write_manifest(tmp_path, replace(made, segments=(replace(segment, files=sums),)))
    assert opened(tmp_path).dropped_segments == (segment.name,)


def test_a_file_that_the_disk_cannot_give_is_damage_and_a_want_of_memory_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = filled(tmp_path)
    engine.checkpoint(engine.freeze(), {})
    (tmp_path / SEEN).unlink()

    def failing(number: int) -> None:
        def fail(path: Path, folder: Path) -> FileSum:
            raise OSError(number, os.strerror(number), str(path))

        monkeypatch.setattr("services.nn_shard.engine.segment.file_sum", fail)

    failing(errno.ENOMEM)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        opened(tmp_path)
    failing(errno.EIO)
    assert len(opened(tmp_path).dropped_segments) == 1


def test_a_segment_for_which_there_is_no_file_left_to_open_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = filled(tmp_path)
    engine.checkpoint(engine.freeze(), {})
    read_bytes, number = Path.read_bytes, errno.EMFILE

    def failing(path: Path) -> bytes:
        if path.name == "segment.json":
            raise OSError(number, os.strerror(number), str(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", failing)
    with pytest.raises(OSError, match="Too many open files"):
        opened(tmp_path)
    number = errno.EIO
    assert len(opened(tmp_path).dropped_segments) == 1


def test_a_segment_that_was_written_and_cannot_be_opened_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = filled(tmp_path)

    def failing(*_: object) -> NoReturn:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched, pytest.raises(OSError, match="Too many open files"):
        patched.setattr("services.nn_shard.engine.segment_writer.Segment", failing)
        engine.checkpoint(engine.freeze(), {})
    assert list((tmp_path / "segments").iterdir()) == []
    engine.checkpoint(engine.freeze(), {})
    assert opened(tmp_path).counts().pictures == len(ROWS)


def test_a_segment_that_cannot_be_removed_stops_neither_checkpoints_nor_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that another user wrote."""
    engine = filled(tmp_path)
    engine.checkpoint(engine.freeze(), {})
    (old,) = (tmp_path / "segments").iterdir()
    engine.apply([gone(1, version=2)])
    engine.checkpoint(engine.freeze(), {})
    rmtree = shutil.rmtree

    def barred(path: Path) -> None:
        if path == old:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        rmtree(path)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", barred)
        assert engine.erase([ImageId(1)])
        engine.checkpoint(engine.freeze(), {})
        assert engine.left_behind and old.exists()
        assert opened(tmp_path).counts().pictures == len(ROWS) - 1
    engine.checkpoint(engine.freeze(), {})
    assert not engine.left_behind and not old.exists()


def test_an_absent_file_is_damage_too(tmp_path: Path) -> None:
    engine = filled(tmp_path)
    engine.checkpoint(engine.freeze(), {})
    next(tmp_path.glob("segments/*/payloads")).unlink()
    assert opened(tmp_path).dropped_segments


def test_a_checkpoint_carries_deletes_and_a_copy_of_its_files_is_a_shard(tmp_path: Path) -> None:
    engine = filled(tmp_path / "one")
    engine.checkpoint(engine.freeze(), {"offset": 1})
    engine.apply([gone(3, 9), record(4, ROWS[3], version=2)])
    made = engine.checkpoint(engine.freeze(), {"offset": 3})
    for file in made.files():
        (tmp_path / "two" / file.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "one" / file.path, tmp_path / "two" / file.path)
    (tmp_path / "two" / "manifest.json").write_bytes(made.to_json())
    copy = opened(tmp_path / "two")
    assert copy.stamp == {"offset": 3}
    assert copy.counts().pictures == engine.counts().pictures == len(ROWS) - 1
    assert copy.version_of(3) == 9
    assert copy.version_of(4) == 2
    assert copy.apply([record(3, ROWS[2], version=8), record(4, ROWS[3], version=2)]) == 0
    assert answers(copy) == answers(engine)


def test_what_was_not_checkpointed_is_gone_and_its_replay_harmless(tmp_path: Path) -> None:
    engine = filled(tmp_path)
    engine.checkpoint(engine.freeze(), {"offset": 1})
    engine.apply([gone(1, 2)])
    engine.freeze()
    maintain(engine)
    (tmp_path / "segments" / "left-by-a-crash").mkdir()
    again = opened(tmp_path)
    assert again.stamp == {"offset": 1}
    assert again.counts().pictures == len(ROWS)
    assert not (tmp_path / "segments" / "left-by-a-crash").exists()
    again.apply([gone(1, 2)])
    assert again.fetch(None, [ImageId(1)]) == []


def test_merging_keeps_segments_few_and_drops_the_dead(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    for begin in range(0, 200, 10):
        engine.apply([record(i + 1, ROWS[i]) for i in range(begin, begin + 10)])
        engine.freeze()
        maintain(engine)
    assert engine.counts().segments <= 4
    engine.apply([gone(i, 2) for i in range(1, 190)])
    maintain(engine)
    counts = engine.counts()
    assert counts.pictures == 11
    assert counts.dead_rows <= 4
    assert engine.version_of(1) == 2


def test_a_delete_outlives_the_merge_of_its_row(tmp_path: Path) -> None:
    engine = filled(tmp_path)
    engine.apply([gone(i + 1, 5) for i in range(len(ROWS))])
    engine.checkpoint(engine.freeze(), {})
    maintain(engine)
    engine.checkpoint(engine.freeze(), {})
    again = opened(tmp_path)
    assert again.counts().live == 0
    assert again.apply([record(1, ROWS[0], version=4)]) == 0
    assert again.version_of(1) == 5
    assert again.apply([record(1, ROWS[0], version=6)]) == 1


def test_a_manifest_of_something_else_is_refused(tmp_path: Path, codebook: Codebook) -> None:
    engine = filled(tmp_path, codebook)
    made = engine.checkpoint(engine.freeze(), {})
    assert Checkpoint.from_json(made.to_json()) == made
    with pytest.raises(WrongSpace):
        Engine.open(tmp_path, dim=DIM, space=SPACE, index=IndexId("other.2"), settings=EngineSettings())
    with pytest.raises(WrongState):
        opened(tmp_path)
    with pytest.raises(WrongState):
        opened(tmp_path, train_codebook(clustered(600, seed=6), "IVF4,PQ8x8"))
    for text in (b"", b"{}", b'{"format": 2}', json.dumps({"format": 1, "segments": [1]}).encode()):
        (tmp_path / "manifest.json").write_bytes(text)
        with pytest.raises(Corrupt):
            opened(tmp_path, codebook)


def test_a_manifest_of_which_one_byte_changed_is_refused_or_says_the_same(tmp_path: Path) -> None:
    """Offsets, dead rows and names are text: most of what a disk makes of them is a manifest, too."""
    engine = filled(tmp_path)
    engine.apply([gone(3, 2)])
    made = engine.checkpoint(engine.freeze(), {"next_offsets": [17, 4, 9]})
    text = made.to_json()
    for at in range(len(text)):
        for bit in (0x01, 0x10):
            changed = bytearray(text)
            changed[at] ^= bit
            with contextlib.suppress(Corrupt):
                assert Checkpoint.from_json(bytes(changed)).segments == made.segments
                assert Checkpoint.from_json(bytes(changed)).stamp["next_offsets"] == [17, 4, 9]


def test_a_manifest_of_an_earlier_version_has_no_checksum_and_wrong_dead_rows_in_it_are_damage(tmp_path: Path) -> None:
    engine = filled(tmp_path)
    made = engine.checkpoint(engine.freeze(), {})
    value = json.loads(made.to_json())
    value["stamp"].clear()
    (tmp_path / "manifest.json").write_text(json.dumps(value))
    assert opened(tmp_path).counts().pictures == len(ROWS)
    value["segments"][0]["dead"] = dead_text(np.array([3_000_000]))
    (tmp_path / "manifest.json").write_text(json.dumps(value))
    assert opened(tmp_path).dropped_segments == (made.segments[0].name,)


def test_an_engine_opens_where_nothing_can_be_noted(tmp_path: Path) -> None:
    """As on a full disk after a boot: a search needs no room."""
    engine = filled(tmp_path)
    engine.checkpoint(engine.freeze(), {})
    (tmp_path / SEEN).unlink()
    (tmp_path / SEEN).with_suffix(".new").mkdir()  # no file can be written there
    assert opened(tmp_path).counts().pictures == len(ROWS)


def test_a_manifest_that_the_disk_does_not_give_is_damage_and_one_for_which_there_are_no_files_left_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = filled(tmp_path)
    engine.checkpoint(engine.freeze(), {})

    def fails(number: int) -> None:
        def read(_: Path) -> bytes:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(Path, "read_bytes", read)

    fails(errno.EIO)
    with pytest.raises(Corrupt):
        opened(tmp_path)
    fails(errno.EMFILE)
    with pytest.raises(OSError, match="Too many open files"):
        opened(tmp_path)


def test_a_sample_is_of_live_rows_without_repeats(tmp_path: Path) -> None:
    engine = filled(tmp_path)
    engine.apply([gone(i + 1, 2) for i in range(100)])
    sampled = np.concatenate(list(engine.sample(1_000)))
    assert len(sampled) == 100
    assert len(np.unique(sampled, axis=0)) == 100
    assert np.allclose(np.sort(sampled, axis=0), np.sort(ROWS[100:], axis=0), atol=1e-3)
    assert sum(map(len, engine.sample(30))) == 30
