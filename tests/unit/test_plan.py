"""omma plan: sizes by formulas that anybody can check, and values that the chart takes."""

import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from omma.errors import InvalidQuery
from services.standalone.cli import command_line
from services.standalone.plan_values import size, values_yaml
from services.standalone.planning import GIB, Wanted, plan, search_seconds, shard_memory_bytes
from tests.conftest import ROOT

LARGE = ROOT / "helm" / "omma" / "values-large.yaml"


def test_codes_of_a_billion_and_of_two_hundred_billion() -> None:
    assert size(plan(Wanted(10**9, 100)).codes_total_bytes) == "59.6 GiB"
    assert size(plan(Wanted(2 * 10**11, 1, shard_gib=512)).codes_total_bytes) == "11.6 TiB"


def test_a_million_pictures_are_one_shard_of_two_replicas() -> None:
    small = plan(Wanted(10**6, 20))
    assert (small.shards, small.replicas, small.gateways, small.gpus) == (1, 2, 2, 0)
    # 148 MiB was measured with 40 MiB of process; a fifth of 488 MiB of originals stays in the page cache.
    assert 148 + 97 < small.shard_memory_bytes / (1 << 20) < 500


wanted = st.builds(
    Wanted,
    pictures=st.integers(1, 10**11),
    qps=st.floats(0.1, 10_000),
    recall=st.floats(0.5, 1.0),
    dimension=st.integers(8, 2048),
    shard_gib=st.floats(1, 512),
    gpu_rate=st.none() | st.floats(1, 5_000),
)


@given(wanted)
def test_a_plan_holds_what_it_promises(asked: Wanted) -> None:
    try:
        made = plan(asked)
    except InvalidQuery as refused:
        assert refused.field == "pictures"
        return
    assert made.shards & (made.shards - 1) == 0 and made.shards <= 256
    assert made.rows * made.shards >= asked.pictures
    assert 2 <= made.replicas <= 100
    assert shard_memory_bytes(made.rows, asked.dimension) <= asked.shard_gib * GIB
    assert made.shard_disk_bytes >= 2 * made.rows * 2 * asked.dimension
    assert made.replicas * 0.6 >= asked.qps * search_seconds(made.rows, asked.recall)
    assert (made.gpus > 0) == (asked.gpu_rate is not None)


@given(st.integers(1, 10**9), st.floats(0.5, 1.0), st.floats(0.5, 1.0))
def test_more_recall_never_costs_less_nor_more_than_looking_at_everything(rows: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert search_seconds(rows, low) <= search_seconds(rows, high) <= search_seconds(rows, 1.0)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (Wanted(0, 1), "pictures"),
        (Wanted(1, 0), "qps"),
        (Wanted(1, math.nan), "qps"),
        (Wanted(1, 1, recall=1.1), "recall"),
        (Wanted(1, 1, dimension=0), "dimension"),
        (Wanted(1, 1, shard_gib=0), "shard_gib"),
        (Wanted(1, 1, gpu_rate=0), "gpu_rate"),
        (Wanted(10**12, 1), "pictures"),
    ],
)
def test_what_cannot_be_planned_is_named(asked: Wanted, field: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        plan(asked)
    assert refused.value.field == field


def test_values_large_is_what_its_first_line_says(tmp_path: Path) -> None:
    command = LARGE.read_text().splitlines()[0].removeprefix("# Written by: omma ").split()
    written = tmp_path / "values.yaml"
    done = CliRunner().invoke(command_line(), [*command, "--values", str(written)])
    assert done.exit_code == 0, done.output
    assert written.read_text() == LARGE.read_text()


def test_the_first_line_says_every_option() -> None:
    text = values_yaml(plan(Wanted(10**7, 50, 0.97, 768, "clip@2.0.0", gpu_rate=900)))
    assert "--pictures 10000000 --qps 50 --recall 0.97 --dimension 768 --model clip@2.0.0 --gpu-rate 900" in text
    values = yaml.safe_load(text)
    assert values["triton"] == {"enabled": True, "gpu": 1} and values["indexes"][0]["model"] == "clip@2.0.0"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    options = ["plan", "--pictures", "1000", "--qps", "1", "--values", str(tmp_path / "absent" / "v.yaml")]
    done = CliRunner().invoke(command_line(), options)
    assert done.exit_code == 2
