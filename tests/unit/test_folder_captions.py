"""captions.json beside a folder's pictures: what it says of them, and what is told where it says nothing right."""

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omma.blobs.originals import path_of
from omma.catalog.picture import PictureChange
from omma.identity import DEFAULT_TENANT
from omma.records import EventKind
from tests.unit.folder_library import Library, library_in


async def test_captions_beside_pictures_become_tags_and_attributes(library: Library):
    (library.folder / "one.jpg").write_bytes(b"one")
    captions = {"one.jpg": {"caption": "a red one", "tags": ["red", "red"]}}
    (library.folder / "captions.json").write_text(json.dumps(captions))
    await library.ingest()
    page = await library.catalog.list_pictures(DEFAULT_TENANT, None, None, 9)
    assert page.pictures[0].tags == ("red",) and page.pictures[0].attributes == {"caption": "a red one"}


@given(
    st.lists(
        st.text("éßöÅñ가한ạ̈ba", min_size=1, max_size=6),
        min_size=1,
        max_size=6,
        unique_by=lambda one: normalize("NFC", one),
    ),
    st.data(),
)
@settings(max_examples=20)
def test_a_name_is_found_however_its_accents_are_written(names: list[str], data: st.DataObject):
    forms = st.sampled_from(["NFC", "NFD"])
    files = [normalize(data.draw(forms), f"{name}.jpg") for name in names]
    keys = [normalize(data.draw(forms), f"{name}.jpg") for name in names]
    kept = data.draw(st.sets(st.sampled_from(range(len(names)))))

    async def ingest(place: Path) -> None:
        async with library_in(place) as library:
            library.add(*(files[number] for number in kept))
            captions = {key: {"tags": [str(number)]} for number, key in enumerate(keys)}
            (library.folder / "captions.json").write_text(json.dumps(captions))
            progress = await library.ingest()
            rows = {path_of(row.uri).name: row.tags for row in (await library.rows()).values()}
            assert rows == {files[number]: (str(number),) for number in kept}
            absent = len(names) - len(kept)
            told = library.told.get("captions_passed_over", [])
            assert progress.counts["captions_passed_over"] == len(told) == bool(absent)
            assert not absent or f"{absent} of its entries" in told[0]["reason"]

    with tempfile.TemporaryDirectory() as place:
        asyncio.run(ingest(Path(place)))


SAID = (
    {"tags": ["one"]},
    {"tags": ["two"], "caption": "a red one"},
    {"caption": "another"},
    {"tags": ["two", "three"], "stars": 5},
)


async def test_what_is_written_anew_into_captions_is_taken_in_and_nothing_embedded(library: Library):
    """Each edit beside unchanged files; the last with its time put back, as a copy has it."""
    library.add("a/one.jpg", "a/other.jpg", "b/one.jpg")
    captions = library.folder / "a" / "captions.json"
    await library.ingest()
    expected: dict[str, Any] = {}
    for said in SAID:
        captions.write_text(json.dumps({"one.jpg": said}))
        os.utime(captions, (0, 0))
        progress = await library.ingest()
        assert (progress.counts["changed"], progress.counts["unchanged"]) == (1, 2)
        page = await library.catalog.list_pictures(DEFAULT_TENANT, None, None, 9)
        row = next(one for one in page.pictures if one.uri.endswith("a/one.jpg"))
        tags = tuple(said.get("tags", expected.get("tags", ())))
        attributes = {name: value for name, value in said.items() if name != "tags"} or expected.get("attributes", {})
        expected = {"tags": tags, "attributes": attributes}
        assert {"tags": row.tags, "attributes": row.attributes} == expected
        assert (await library.events())[-1].kind is EventKind.ATTRIBUTES
        assert (await library.ingest()).counts["unchanged"] == 3, "once"
    assert [event.kind for event in await library.events()].count(EventKind.UPSERT) == 3


async def test_what_somebody_said_after_the_captions_stays(library: Library):
    library.add("one.jpg")
    (library.folder / "captions.json").write_text(json.dumps({"one.jpg": {"tags": ["captioned"]}}))
    await library.ingest()
    row = (await library.rows())["one.jpg"]
    changed = await library.catalog.change(DEFAULT_TENANT, row.id, PictureChange(tags=("mine",)))
    await library.catalog.postpone({row.id: changed.version}, "", 60.0)  # as if it were a minute later
    assert (await library.ingest()).counts["unchanged"] == 1
    assert (await library.rows())["one.jpg"].tags == ("mine",)


async def test_entries_of_no_picture_are_told_by_folder(library: Library):
    library.add("a/one.jpg", "c/one.jpg", "d/one.jpg")
    (library.folder / "b").mkdir()
    for name, entries in (("a", ["one.jpg", "two.jpg"]), ("b", ["x", "y", "z", "\ud83d"]), ("d", ["one.jpg"])):
        (library.folder / name / "captions.json").write_text(json.dumps({entry: {"tags": ["x"]} for entry in entries}))
    await library.ingest()
    told = {one["place"].split("/")[-2]: one["reason"] for one in library.told["captions_passed_over"]}
    assert told.keys() == {"a", "b"} and "'two.jpg'" in told["a"] and "4 of its entries" in told["b"]


SENSELESS = {
    "a list": "[]",
    "cut off": "{",
    "a number": '{"one.jpg": 3}',
    "tags": '{"one.jpg": {"tags": 4}}',
    "a long tag": json.dumps({"one.jpg": {"tags": ["x" * 5000]}}),
    "many tags": json.dumps({"one.jpg": {"tags": [str(number) for number in range(3000)]}}),
    "an object": '{"one.jpg": {"exif": {"iso": 100}}}',
    "a long caption": json.dumps({"one.jpg": {"caption": "y" * 2_000_000}}),
    "NUL": '{"one.jpg": {"tags": ["a\\u0000b"]}}',
    "half an emoji": '{"one.jpg": {"caption": "half \\ud83d", "tags": ["beach \\ud83c"], "\\ud83d": 1}}',
    "no number": '{"one.jpg": {"stars": NaN, "more": Infinity}}',
    "deep": '{"one.jpg": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "many parts": '{"one.jpg": [' + "[],".join([""] * 600_000) + "1]}",
    "large": '{"one.jpg": {"tags": ["' + "x" * (17 << 20) + '"]}}',
    "digits": '{"one.jpg": {"stars": ' + "9" * 5000 + "}}",
}


@pytest.mark.parametrize("what", SENSELESS)
async def test_captions_that_make_no_sense_are_passed_over_and_told(library: Library, what: str):
    library.add("one.jpg")
    (library.folder / "captions.json").write_text(SENSELESS[what])
    progress = await library.ingest()
    row = (await library.rows())["one.jpg"]
    assert (progress.counts["created"], row.tags, row.attributes) == (1, (), {})
    assert library.told["captions_passed_over"] and "skipped" not in library.told


async def test_what_makes_sense_beside_what_does_not_is_kept(library: Library):
    library.add("one.jpg")
    said = {"tags": ["sea", "x" * 5000], "stars": 5, "exif": {"iso": 100}}
    (library.folder / "captions.json").write_text(json.dumps({"one.jpg": said}))
    progress = await library.ingest()
    row = (await library.rows())["one.jpg"]
    assert (row.tags, row.attributes, progress.counts["captions_passed_over"]) == (("sea",), {"stars": 5}, 2)


async def test_captions_in_a_pipe_hold_nobody_up(library: Library):
    library.add("one.jpg")
    os.mkfifo(library.folder / "captions.json")
    os.mkfifo(library.folder / "two.jpg")
    assert (await library.ingest()).counts["created"] == 1
