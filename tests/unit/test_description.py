"""What is said of a picture: one rule, told to callers and applied to sources that cannot be asked."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.catalog.picture import NewPicture, PictureChange
from omma.description import Description, RowLimits, readable
from omma.errors import InvalidQuery, OmmaError, TooLarge
from omma.identity import Sha256

LIMITS = RowLimits(tags=3, attributes_bytes=200)
HALF = "half \ud83d"
WRONG: dict[str, tuple[str, Any]] = {
    "half of a pair": ("tags", (HALF,)),
    "NUL in a tag": ("tags", ("a\0b",)),
    "a line in a tag": ("tags", ("a\nb",)),
    "an empty tag": ("tags", ("",)),
    "too long a tag": ("tags", ("x" * 257,)),
    "too many tags": ("tags", ("a", "b", "c", "d")),
    "half in an owner": ("owner", HALF),
    "too long an owner": ("owner", "x" * 1025),
    "NaN": ("attributes", {"a": math.nan}),
    "infinity": ("attributes", {"a": -math.inf}),
    "too large a number": ("attributes", {"a": 2**63}),
    "too small a number": ("attributes", {"a": -(2**63) - 1}),
    "nested": ("attributes", {"exif": {"iso": 100}}),
    "a list": ("attributes", {"a": [1]}),
    "half in a value": ("attributes", {"a": HALF}),
    "half in a name": ("attributes", {HALF: 1}),
    "NUL in a value": ("attributes", {"a": "\0"}),
    "too much": ("attributes", {"a": "x" * 300}),
    "too much together": ("attributes", {"a": "x" * 120, "b": "y" * 120}),
    "too long a name": ("attributes", {"a" * 129: 1}),
    "an empty name": ("attributes", {"": 1}),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_names_its_field(name: str):
    field, value = WRONG[name]
    for said in (Description(**{field: value}), PictureChange(**{field: value})):
        with pytest.raises((InvalidQuery, TooLarge)) as caught:
            LIMITS.check(said)
        assert caught.value.field == field


def test_what_fits_is_taken():
    said = Description("key", "me", ("a, b", "c"), "https://x", {"n": 2**63 - 1, "f": 1e308, "b": True, "t": "a\nb\tc"})
    LIMITS.check(said)


@pytest.mark.parametrize("name", WRONG)
def test_a_source_that_cannot_be_asked_is_taken_at_what_is_right(name: str):
    field, value = WRONG[name]
    said, wrong = LIMITS.sane_part(**{"external_id": "key", "tags": ["good"], field: value})
    LIMITS.check(said)
    assert said.external_id == "key"
    assert [one.field.partition(".")[0] for one in wrong] == [field]
    wrong[0].field.encode()  # it can be told


def test_one_wrong_tag_or_attribute_falls_alone():
    said, wrong = RowLimits(tags=5).sane_part(
        tags=["good", 2024, True, HALF, "good"], attributes={"a": 1, "b": [], "c": None}
    )
    assert said.tags == ("good", "2024")
    assert said.attributes == {"a": 1}
    assert [one.field for one in wrong] == ["tags", "tags", "attributes.b"]


def test_a_tag_that_is_said_often_is_one():
    said, wrong = LIMITS.sane_part(tags=["a", 7, "7", "b"] * 100)
    assert (said.tags, wrong) == (("a", "7", "b"), ())
    LIMITS.check(Description(tags=("a", "b") * 100))


def test_what_is_called_nothing_is_named_as_the_field_alone():
    said, wrong = LIMITS.sane_part(attributes={"": 1, "a": 2})
    assert (said.attributes, [one.field for one in wrong]) == ({"a": 2}, ["attributes"])


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=300),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=140), inner, max_size=5),
    max_leaves=20,
)


@given(_anything, _anything, _anything, _anything)
def test_nothing_that_a_source_says_makes_a_row_that_cannot_be_kept(tags, attributes, owner, key):
    said, _ = LIMITS.sane_part(external_id=key, owner=owner, tags=tags, attributes=attributes)
    LIMITS.check(said)
    json.dumps(dict(said.attributes), allow_nan=False).encode()
    for text in (
        said.owner,
        said.external_id,
        *said.tags,
        *(v for v in said.attributes.values() if isinstance(v, str)),
    ):
        assert "\0" not in text
        text.encode("utf-8")


async def test_the_catalog_refuses_what_no_row_may_have(tmp_path):
    from omma.catalog.sqlite import open_sqlite_catalog
    from omma.identity import DEFAULT_TENANT

    catalog = await open_sqlite_catalog(tmp_path / "catalog.db", LIMITS)
    try:
        good = NewPicture("good", Sha256("1" * 64), "omma:" + "1" * 64, 1)
        (made,) = await catalog.upsert(DEFAULT_TENANT, [good])
        for field, value in WRONG.values():
            bad = NewPicture("bad", Sha256("2" * 64), "omma:" + "2" * 64, 1, **{field: value})
            with pytest.raises(OmmaError) as caught:
                await catalog.upsert(DEFAULT_TENANT, [good, bad])
            assert caught.value.field == field
            with pytest.raises(OmmaError):
                await catalog.change(DEFAULT_TENANT, made.id, PictureChange(**{field: value}))
        with pytest.raises(InvalidQuery):
            await catalog.upsert(DEFAULT_TENANT, [NewPicture(HALF, Sha256("3" * 64), "omma:3", 1)])
        page = await catalog.list_pictures(DEFAULT_TENANT, None, None, 10)
        assert [(one.key, one.version, one.tags) for one in page.pictures] == [("good", 1, ())]
    finally:
        await catalog.close()


def test_a_reason_can_be_kept_whatever_it_quotes():
    assert readable("a\ud83d\0b") == "a??b"
