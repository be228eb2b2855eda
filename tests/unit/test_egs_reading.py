"""What people type is read as a tower knows it: spellings, fillers, and a sentence by its words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.vectors import Float32
from services.egs.reading import Reader, phrases
from services.egs.text import meant, understood

KNOWN = {
    *("a", "an", "the", "on", "of", "with", "t", "x", "shirt", "shirts", "dress", "dresses", "cherry", "knife", "man"),
    *("teapot", "tea", "pot", "water", "lily", "rain", "coat", "red", "dog", "sofa", "photo"),
}


def read(text: str) -> list[str]:
    return Reader(lambda word: word.lower() in KNOWN).read(text)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("t shirt", "t shirt"),
        ("t-shirt", "t shirt"),
        ("T-Shirt!", "T Shirt"),
        ("tshirts", "t shirts"),
        ("a red dress, please", "red dress"),
        ("cherries", "cherry"),
        ("knives", "knife"),
        ("lilies", "lily"),
        ("men", "man"),
        ("man's", "man"),
        ("man\u2019s", "man"),
        ("tea-pots", "teapot"),
        ("water_lily/dog", "water lily dog"),
        ("raincoats", "raincoats"),  # rain + coats: it has no word for that
        ("raincoat", "rain coat"),
        ("the dog would be on a sofa", "dog sofa"),
        ("a photo of the dog", "a photo of the dog"),
        ("would you have the dog", "the dog"),
        ("zzyzx", "zzyzx"),
        ("кот, собака", "кот собака"),
        ("would they", "would they"),
        ("!?", "!?"),
    ],
)
def test_a_word_is_read_as_the_vocabulary_has_it(typed: str, words: str) -> None:
    assert " ".join(read(typed)) == words


@pytest.mark.parametrize(
    ("typed", "joined"),
    [
        ("tea pot", "teapot"),
        ("a Tea-Pot on the sofa", "a TeaPot on the sofa"),
        ("tea\u2011pots", "teapots"),
        ("rain  coat", "raincoat"),
        ("tea, pot", "tea, pot"),  # two things
        ("tea or pot", "tea or pot"),
        ("tea/pot", "tea/pot"),
        ("rain dog", "rain dog"),
        ("", ""),
    ],
)
def test_words_written_apart_are_one_where_the_vocabulary_has_it(typed: str, joined: str) -> None:
    known = {*KNOWN, "raincoat"}
    assert Reader(lambda word: word.lower() in known).joined(typed) == joined


@given(st.text(max_size=60).filter(str.strip))
def test_a_text_is_never_read_as_nothing_and_is_read_the_same_again(text: str) -> None:
    words = read(text)
    assert words
    assert all(word.strip() for word in words)
    assert " ".join(read(" ".join(words))).split() == " ".join(words).split()


def test_one_word_that_tells_something_is_asked_for_with_what_stands_around_it() -> None:
    assert phrases(read("a photo of the dog")) == ["a photo of the dog"]


def test_a_sentence_is_asked_for_by_its_words_too_and_no_longer_than_it_may_be() -> None:
    assert phrases(read("a red dog on the sofa")) == ["red dog sofa", "red", "dog", "sofa", "red dog", "dog sofa"]
    assert len(phrases(read("red dog " * 500))) == 1 + 24 + 23


def rows(*columns: tuple[int, float]) -> tuple[Float32, Float32]:
    """Unit rows along these axes, and how sure each is."""
    return np.eye(4, dtype=np.float32)[[at for at, _ in columns]], np.array([sure for _, sure in columns], np.float32)


def test_what_the_tower_does_not_know_has_no_say_in_a_sentence() -> None:
    vector, sure = meant(*rows((3, 0.2), (0, 1.0), (1, 0.0), (2, 0.5), (1, 0.0), (1, 0.0)), 3)
    assert vector[1] == 0
    assert vector[0] == pytest.approx(2 * vector[2])
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    assert sure == pytest.approx(0.5)


@pytest.mark.parametrize(("together", "axis"), [(0.95, 3), (0.9, 0), (0.5, 0)])
def test_written_together_it_counts_only_where_that_is_clearly_better_understood(together: float, axis: int) -> None:
    apart = (0, 0.9), (0, 0.9), (0, 0.9), (0, 0.9)
    vector, sure = understood(*rows(*apart, (3, together + 0.05)), [["tea", "pot"], ["teapot"]])
    assert np.argmax(vector) == axis
    assert sure == pytest.approx(max(0.9, together + 0.05) if axis == 3 else 0.9)


def test_a_name_of_two_words_is_as_sure_as_it_is_whole() -> None:
    _, sure = meant(*rows((3, 0.9), (0, 0.2), (1, 0.3), (2, 0.9)), 2)
    assert sure == pytest.approx(0.9)


def test_words_that_cancel_out_leave_the_whole() -> None:
    one = np.array([[1, 0], [-0.7, 0], [-0.7, 0]], np.float32)
    one /= np.abs(one).max(1, keepdims=True)
    vector, _ = meant(one, np.ones(3, np.float32), 9)
    assert np.allclose(vector, [1, 0])
