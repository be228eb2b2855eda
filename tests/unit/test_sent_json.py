"""JSON that somebody sends: what every entrance reads of it, and that none takes one of two values in silence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma import sent_json
from omma.errors import InvalidQuery
from omma.evaluation.grade_files import read_grades
from omma.evaluation.names import PictureNames
from omma.filters import parse_filter
from omma.v1 import search_pb2
from omma.vector_list import said_of_lines
from services.gateway.grpc import wire
from services.gateway.rest.fields import as_object

_NAMES = PictureNames([])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=3), one, max_size=3),
    max_leaves=8,
)


@given(_VALUES)
def test_what_json_writes_is_read_as_it_is(value: Any) -> None:
    for ascii_alone in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_alone)
        assert repr(sent_json.parse(text)) == repr(value)


@given(st.text(max_size=5), _VALUES, _VALUES)
def test_a_name_that_stands_twice_is_told(name: str, one: Any, other: Any) -> None:
    inner = f"{{{json.dumps(name)}: {json.dumps(one)}, {json.dumps(name)}: {json.dumps(other)}}}"
    for text in (inner, f'[{{"a": {inner}}}]'):
        with pytest.raises(sent_json.DoubledName) as told:
            sent_json.parse(text)
        assert told.value.name == name


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}'])
def test_what_json_has_no_number_for_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no number of JSON"):
        sent_json.parse(text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_bytes_are_utf_8(encoding: str) -> None:
    with pytest.raises(ValueError):
        sent_json.parse('{"a": 1}'.encode(encoding))


def _grades(text: str, folder: Path) -> None:
    (folder / "grades.jsonl").write_text(text)
    read_grades(folder / "grades.jsonl", _NAMES, absent=True, relevant_from=1)


@pytest.mark.parametrize(
    "entrance",
    [
        lambda text, _: parse_filter(text),
        lambda text, _: as_object(text, "attributes"),
        lambda text, _: wire.description_from_wire(search_pb2.UpsertRequest(attributes_json=text.encode())),
        lambda text, _: said_of_lines(text.encode()),
        _grades,
    ],
    ids=["a filter", "a form's field", "gRPC's attributes", "a line of vectors", "a line of grades"],
)
def test_no_entrance_takes_one_of_two_values(entrance: Callable[[str, Path], object], tmp_path: Path) -> None:
    with pytest.raises(InvalidQuery, match="'owner' stands twice in one object"):
        entrance('{"owner": "ann", "owner": "bob"}', tmp_path)
