"""Lists of pictures: what a line may say, and that every line is one thing or the other."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.description import RowLimits
from omma.picture_list import Listed, WrongLine, absolute, described, line_at, listed

LIMITS = RowLimits()


def lines(text: str | bytes) -> list[Listed | WrongLine]:
    return list(listed(text.encode() if isinstance(text, str) else text, LIMITS))


def test_addresses_paths_comments_and_objects() -> None:
    text = '\ufeff# mine\n\nhttps://x.org/a.jpg\r\ns3://b/k%20k.png\n/photos/ü.jpg\n{"url": "http://x.org/b"}'
    found = lines(text)
    assert [(one.line, one.place) for one in found if isinstance(one, Listed)] == [
        (3, "https://x.org/a.jpg"),
        (4, "s3://b/k%20k.png"),
        (5, "file:///photos/%C3%BC.jpg"),
        (6, "http://x.org/b"),
    ]
    assert len(found) == 4


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({}, "Say where"),
        ({"url": "http://x/a", "path": "/a"}, "Say where"),
        ({"url": "s3://b/k"}, "address"),
        ({"url": 3}, "text"),
        ({"url": "http://x/\x01"}, "control"),
        ({"path": "a.jpg"}, "absolute"),
        ({"uri": "gopher://x"}, "address"),
        ({"url": "http://x/" + "a" * 3_000}, "bytes"),
        ({"url": "http://x/a", "colour": "red"}, "colour"),
        ({"url": "http://x/a", "tags": "a,b"}, "tags"),
        ({"url": "http://x/a", "tags": ["x" * 300]}, "tags"),
        ({"url": "http://x/a", "owner": 7}, "owner"),
        ({"url": "http://x/a", "attributes": {"a": [1]}}, "Attribute"),
        ({"url": "http://x/a", "attributes": [1]}, "attributes"),
        ({"url": "http://x/a", "captions": [1]}, "captions"),
        ({"url": "http://x/a", "external_id": "x" * 2_000}, "external_id"),
    ],
)
def test_what_a_line_says_wrongly_is_told(entry: dict[str, Any], word: str) -> None:
    (wrong,) = lines(json.dumps(entry))
    assert isinstance(wrong, WrongLine) and word in wrong.reason


@given(st.lists(st.one_of(st.text(), st.from_regex(r"\{.{0,40}\}"), st.just("http://x/a"))), st.binary(max_size=50))
def test_whatever_a_list_holds_each_line_is_one_thing(texts: list[str], odd: bytes) -> None:
    content = "\n".join(texts).encode("utf-8", "surrogatepass") + odd
    found = lines(content)
    numbers = [one.line for one in found]
    assert [line_at(content, one.line, one.start, LIMITS) for one in found] == found
    assert [one.line for one in lines(absolute(content, Path("/here")))] == numbers
    assert [one.line for one in lines(described(content, private=True))] == numbers
    told = [one for one in lines(described(content, private=True)) if isinstance(one, Listed)]
    assert len(told) == len([one for one in found if isinstance(one, Listed)])
    assert all(one.description.private is not None for one in told)


def test_something_is_said_of_every_line_that_does_not_say_it_itself() -> None:
    content = described(
        b'/a.jpg\nhttp://x/b\n{"url": "http://x/c", "owner": "bob"}\n{broken', owner="ann", private=True
    )
    found = [one for one in lines(content) if isinstance(one, Listed)]
    assert [(one.place, one.description.owner, one.description.private) for one in found] == [
        ("file:///a.jpg", "ann", True),
        ("http://x/b", "ann", True),
        ("http://x/c", "bob", True),
    ]
    assert len(lines(content)) == 4
    for nothing in ({"private": None}, {"owner": None}, {"owner": ""}):
        [one] = lines(described(json.dumps({"url": "http://x/c", **nothing}).encode(), owner="ann", private=True))
        assert isinstance(one, Listed) and (one.description.owner, one.description.private) == ("ann", True)
    for odd in (b"/\xff.jpg", b'{"url": "http://x/d", "owner": "\xff"}', b'{"url": "http://x/d", "url": "http://x/e"}'):
        [one, other] = lines(described(odd + b"\n/b.jpg", private=True))
        assert isinstance(one, WrongLine) and isinstance(other, Listed) and other.description.private


def test_paths_are_as_from_the_lists_folder() -> None:
    content = absolute(b'a.jpg\n/b.jpg\n{"path": "c.jpg", "owner": "ann"}\nhttp://x/d\n{broken', Path("/here"))
    found = lines(content)
    assert [one.place for one in found if isinstance(one, Listed)] == [
        "file:///here/a.jpg",
        "file:///b.jpg",
        "file:///here/c.jpg",
        "http://x/d",
    ]
    assert isinstance(found[-1], WrongLine)
