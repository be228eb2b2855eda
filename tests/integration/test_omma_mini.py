"""The model that the repository ships: whole, small, and right about photographs that it was not trained on."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded
from PIL import Image

from omma.evaluation import held_out
from omma.rpc.deadline import Deadline
from omma.vectors import Float32
from services.egs.client import EmbeddedItem, ImageItem, TextItem
from services.egs.embedder import OnnxEmbedder
from services.egs.registry import load_model
from services.egs.settings import EgsSettings
from services.standalone.models import choose_model
from services.standalone.settings import StandaloneSettings

MODELS = Path(__file__).parents[2] / "models"
MAX_BYTES = 20_000_000

NAMES = {
    "flamingo": "a flamingo",
    "dalmatian": "dalmatians",
    "pizza": "a photo of a pizza",
    "sunflower": "sunflower",
    "grand_piano": "grand piano",
    "helicopter": "helicopters",
}
"""Folders of caltech-101 and how one asks for them."""


@pytest.fixture
async def embedder() -> AsyncIterator[OnnxEmbedder]:
    made = OnnxEmbedder(load_model(MODELS, "omma-mini"), EgsSettings())
    yield made
    await made.close()


async def embedded(embedder: OnnxEmbedder, items: list[ImageItem | TextItem]) -> list[EmbeddedItem]:
    answers = await embedder.embed(items, Deadline.after(60))
    assert all(isinstance(one, EmbeddedItem) for one in answers), answers
    return [one for one in answers if isinstance(one, EmbeddedItem)]


async def vectors_of(embedder: OnnxEmbedder, items: list[ImageItem | TextItem]) -> Float32:
    return np.concatenate([one.vectors for one in await embedded(embedder, items)])


async def confidences(embedder: OnnxEmbedder, *texts: str) -> list[float]:
    return [one.confidence for one in await embedded(embedder, [TextItem(text) for text in texts])]


def some_held_out(photographs: Path, folder: str, count: int = 4) -> list[ImageItem | TextItem]:
    found = [path for path in sorted((photographs / "caltech-101" / folder).glob("*.jpg")) if held_out(path.name)]
    return [ImageItem(path.read_bytes()) for path in found[:count]]


def test_it_is_what_a_new_data_folder_takes_and_small(tmp_path: Path) -> None:
    model = choose_model(StandaloneSettings(data_dir=tmp_path))
    assert model.manifest.name == "omma-mini"
    assert model.manifest.dim == 512
    assert "MODEL_CARD.md" in model.manifest.documents
    assert sum(path.stat().st_size for path in model.folder.iterdir()) <= MAX_BYTES


async def test_pictures_and_words_are_unit_vectors_of_512(embedder: OnnxEmbedder) -> None:
    picture = encoded(Image.linear_gradient("L").convert("RGB"))
    vectors = await vectors_of(embedder, [ImageItem(picture), TextItem("a red boat")])
    assert vectors.shape == (2, 512)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


async def test_held_out_photographs_are_nearest_to_their_own_name_and_kind(
    embedder: OnnxEmbedder, photographs: Path
) -> None:
    items = [some_held_out(photographs, folder) for folder in NAMES]
    labels = np.repeat(np.arange(len(NAMES)), [len(one) for one in items])
    pictures = await vectors_of(embedder, [one for several in items for one in several])
    words = await vectors_of(embedder, [TextItem(text) for text in NAMES.values()])
    assert np.mean(np.argmax(pictures @ words.T, axis=1) == labels) >= 0.9
    scores = pictures @ pictures.T
    np.fill_diagonal(scores, -1)
    assert np.mean(labels[np.argmax(scores, axis=1)] == labels) >= 0.9


async def test_what_means_the_same_is_near(embedder: OnnxEmbedder) -> None:
    said = ["sofa", "couch", "a photo of a couch", "couches", "banana"]
    sofa, *same, banana = await vectors_of(embedder, [TextItem(text) for text in said])
    assert all(float(sofa @ one) > 0.8 for one in same)
    assert float(sofa @ banana) < 0.4


async def test_a_colour_moves_a_thing_towards_that_colour(embedder: OnnxEmbedder) -> None:
    said = ["red", "blue", "dress", "a red dress", "a blue dress"]
    red, blue, dress, red_dress, blue_dress = await vectors_of(embedder, [TextItem(text) for text in said])
    assert float(red_dress @ dress) > float(red_dress @ red)
    assert float(red_dress @ red) > float(blue_dress @ red)
    assert float(blue_dress @ blue) > float(red_dress @ blue)


async def test_it_trusts_itself_on_words_it_knows_and_not_on_others(embedder: OnnxEmbedder) -> None:
    covered = await confidences(embedder, "dog", "a red dress", "two flamingos", "grand piano", "strawberries")
    abstract = await confidences(embedder, "justice", "inflation rate", "philosophy", "theorem", "bureaucracy")
    nonsense = await confidences(embedder, "qzxv", "fnordle wug", "asdf ghjk", "zzgrmph", "wvbnkd pqz")
    assert min(covered) > 0.6
    assert max(abstract + nonsense) < 0.4
    assert all(0 <= one <= 1 for one in covered + abstract + nonsense)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("t-shirt", "t shirt"),
        ("T-Shirt", "t shirt"),
        ("\uff34\uff0d\uff33\uff28\uff29\uff32\uff34", "t shirt"),  # as Japanese keyboards write it
        ("jeans\u2122", "jeans"),
        ("star fish", "starfish"),
        ("Motor-Bikes", "motorbike"),
        ("a basket ball", "basketball"),
        ("tshirts", "t shirt"),
        ("T-SHIRTS!", "t shirt"),
        ("Grand-Pianos", "grand piano"),
        ("water lilies", "water lily"),
        ("a red dress, please", "a red dress"),
    ],
)
async def test_how_a_word_is_spelt_makes_no_difference(embedder: OnnxEmbedder, typed: str, said: str) -> None:
    one, other = await vectors_of(embedder, [TextItem(typed), TextItem(said)])
    assert float(one @ other) > 0.95
    (sure,) = await confidences(embedder, typed)
    assert sure > 0.6


async def test_words_between_do_not_drag_a_sentence_away_from_its_things(embedder: OnnxEmbedder) -> None:
    said = ["dog sofa", "because they would have been there, the dog is behind which sofa"]
    things, sentence = await vectors_of(embedder, [TextItem(text) for text in said])
    assert float(things @ sentence) > 0.99


async def test_half_understood_is_half_sure_in_any_script(embedder: OnnxEmbedder) -> None:
    nothing = await confidences(embedder, "кот", "собака на траве", "猫", "قطة", "mesa con silla roja", "lorem ipsum")
    assert max(nothing) < 0.25
    for half in await confidences(embedder, "a blorptang on a table", "dog кот"):
        assert 0.3 < half < 0.7
