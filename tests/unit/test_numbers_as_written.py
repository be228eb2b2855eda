"""A number is what stands there, at every entrance: 1_9 is no 19, and nobody's picture goes in place of another's."""

from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from omma.errors import InvalidQuery
from omma.images.crops import parse_bbox
from omma.rollouts.asked import JudgmentsRequest
from omma.written import number_of, whole_of
from services.gateway.rest.fields import as_integer, as_number, as_numbers
from services.standalone.cli import command_line
from services.standalone.cli.rollout import _grade, _judgments, _number
from services.standalone.cli.search import _threshold
from services.standalone.numbers import number, whole

OTHERWISE = ("1_9", "1_0.5", " 1", "1 ", "+1", "\t1", "1\n", "\u0661", "\uff11", "0x10", "1e", "e1", "", "--1", "1__0")
"""What Python, pydantic or another language may take for a number that nobody wrote."""
NO_WHOLE = (*OTHERWISE, "1.0", "1e0", "1.", "True", "inf", "nan")


@given(st.integers(-(10**19) + 1, 10**19 - 1))
def test_whole_numbers_are_read(number: int) -> None:
    assert whole_of(str(number)) == number and as_integer(str(number), "k") == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read(number: float) -> None:
    assert number_of(repr(number)) == number and as_number(repr(number), "weight") == number


@pytest.mark.parametrize("text", OTHERWISE)
def test_nothing_else_is(text: str) -> None:
    for read in (
        lambda: as_integer(text, "k"),
        lambda: as_number(text, "weight"),
        lambda: _number(text),
        *(
            []
            if text.strip() == "1"
            else [lambda: parse_bbox(f"0,0,{text},5"), lambda: as_numbers(f"1,{text}", "v", 9)]
        ),
    ):
        with pytest.raises(InvalidQuery):
            read()
    if text.strip() != "1":
        for listed in (lambda: parse_bbox(f"0,0,{text},5"), lambda: as_numbers(f"1,{text}", "vector", 9)):
            with pytest.raises(InvalidQuery):
                listed()
    if text:
        with pytest.raises(typer.BadParameter):
            _threshold(text)


@pytest.mark.parametrize("text", NO_WHOLE)
def test_judgments_are_by_ids_in_digits(text: str) -> None:
    for judged in ({"labels": {text: "lamp"}}, {"grades": {text: {"1": 1}}}, {"grades": {"1": {text: 1}}}):
        with pytest.raises(ValidationError):
            JudgmentsRequest.model_validate(judged)
    with pytest.raises(ValueError, match="no grade"):
        _grade(text)
    assert JudgmentsRequest.model_validate({"labels": {"19": "lamp"}}).labels == {19: "lamp"} and _grade("5") == 5


@pytest.mark.parametrize("rows", ["7,lamp\n7,chair\n", "7,8,5\n7,8,0\n"])
def test_a_picture_is_judged_once(tmp_path: Path, rows: str) -> None:
    """As `omma eval` has it: with the last one alone the loss would be of somebody's slip."""
    file = tmp_path / "judgments.csv"
    file.write_text(rows)
    with pytest.raises(InvalidQuery, match="twice"):
        _judgments(file)
    file.write_text(rows.splitlines()[0] + "\n" + rows.splitlines()[0])
    assert _judgments(file)


def test_what_stands_between_commas_may_have_spaces() -> None:
    assert parse_bbox("0, 0, 1.5 ,5") == (0, 0, 1.5, 5)
    assert as_numbers("1, 2.5", "vector", 9) == [1, 2.5]


@pytest.mark.parametrize("text", [one for one in NO_WHOLE if one not in ("", "--1")])
@pytest.mark.parametrize(
    "command",
    [
        ["erase", "--yes"],
        ["clusters"],
        ["dead-letters", "show"],
        ["dead-letters", "replay"],
        ["feedback", "list", "--image-id"],
    ],
)
def test_commands_take_ids_in_digits(command: list[str], text: str) -> None:
    """Before anything is asked."""
    result = CliRunner().invoke(command_line(), [*command, text])
    assert result.exit_code == 2 and "no id of a picture" in " ".join(result.output.split()), result.output


COUNTS = [
    (["search", "1", "-k"], 1, 1_000),
    (["clusters", "--limit"], 1, 10_000),
    (["anomalies", "--limit"], 1, 1_000),
    (["duplicates", "--limit"], 1, None),
    (["feedback", "list", "--limit"], 1, 1_000),
    (["audit", "--limit"], 1, 1_000),
    (["insights", "--days"], 1, 92),
    (["eval", ".", "-k"], 1, 1_000),
    (["eval", ".", "--relevant-from"], 1, 5),
    (["space", "create", "a", "--dim"], 2, 4_096),
    (["quota", "set", "ann", "--pictures"], 0, 10**12),
    (["rollout", "start", "--shards"], None, None),
    (["plan", "--qps", "1", "--pictures"], None, None),
]
"""Of each the least and the most that REST takes; None: whoever is asked says so."""


@pytest.mark.parametrize(("command", "least", "most"), COUNTS)
def test_commands_take_counts_in_digits_within_the_bounds_of_rest(
    command: list[str], least: int | None, most: int | None
) -> None:
    """Before anything is asked."""
    beyond = [*([] if least is None else [least - 1, -1]), *([] if most is None else [most + 1, 10**18])]
    for text in [*map(str, beyond), "1_9", "+1", " 1", "1.0", "\u0661", "1e0", ""]:
        result = CliRunner().invoke(command_line(), [*command, text])
        assert result.exit_code == 2, (text, result.output)
        assert "in digits" in result.output or " is not " in " ".join(result.output.split()), result.output


@pytest.mark.parametrize(
    "command",
    [
        ["clusters", "--threshold"],
        ["eval", ".", "--held-out"],
        ["experiment", "start", "--name", "a", "--arm", "effort=1", "--share"],
        ["plan", "--pictures", "1", "--qps"],
    ],
)
@pytest.mark.parametrize("text", ["1_0", "nan", "inf", "1e999", "+1", ""])
def test_commands_take_numbers_in_digits(command: list[str], text: str) -> None:
    result = CliRunner().invoke(command_line(), [*command, text])
    assert result.exit_code == 2 and "in digits" in " ".join(result.output.split()), result.output


def test_numbers_within_their_bounds_are_taken() -> None:
    assert [whole(1, 5)(text) for text in ("1", "5")] == [1, 5] and whole(1, 5)(3) == 3
    assert [number(-1, 1)(text) for text in ("-1", "0.5", "1e0")] == [-1.0, 0.5, 1.0]
    for text in ("-1.1", "1.01"):
        with pytest.raises(typer.BadParameter, match="-1 to 1"):
            number(-1, 1)(text)
