"""A form's fields: what is a list, and what is refused rather than misread."""

import pytest

from omma.errors import InvalidQuery
from services.gateway.rest.fields import as_texts, single


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        (["red, dark", "shoe"], ("red", "dark", "shoe")),
        (['["red, dark", "shoe"]'], ("red, dark", "shoe")),
        (["a,b", '["c,d"]', "e"], ("a", "b", "c,d", "e")),
        ([' ["a"] '], ("a",)),
        (["[]"], ()),
        ([""], ()),
    ],
)
def test_a_list_is_commas_or_json(sent: list[str], taken: tuple[str, ...]):
    assert as_texts(single({"tags": sent}, {"tags"})["tags"], "tags") == taken


@pytest.mark.parametrize("sent", ['["a", ', "[wip]", '["a", 1]', '[["a"]]', '["a"] b'])
def test_what_begins_as_a_list_and_is_none_is_refused(sent: str):
    with pytest.raises(InvalidQuery) as caught:
        as_texts(single({"tags": [sent]}, {"tags"})["tags"], "tags")
    assert caught.value.field == "tags"


def test_a_body_says_a_list_as_text_too():
    assert as_texts('["a, b"]', "tags") == ("a, b",)
