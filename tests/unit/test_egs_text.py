"""A model with a text tower embeds words into the space of its pictures."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from onnx_graphs import image_tower, text_tower
from pictures import encoded, scene
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from omma.errors import Corrupt, InvalidQuery, TooLarge
from omma.rpc.deadline import Deadline
from services.egs.client import EmbeddedItem, ImageItem, TextItem
from services.egs.embedder import OnnxEmbedder
from services.egs.manifest import ImageTower, Manifest, Preprocessing, TextTower
from services.egs.registry import load_model
from services.egs.settings import EgsSettings
from services.egs.signs import named

WORDS = ["[pad]", "[unk]", "red", "boat", "at", "sea"]
MAX_TOKENS = 4


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "image.onnx").write_bytes(image_tower(8, 5))
    (folder / "text.onnx").write_bytes(text_tower(len(WORDS), 5))
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[unk]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    manifest = Manifest(
        name="tiny",
        version="1.0.0",
        dim=5,
        image=ImageTower(file="image.onnx", input="pixels", output="vector"),
        preprocessing=Preprocessing(size=8, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
        text=TextTower(
            file="text.onnx", tokenizer="tokenizer.json", input="tokens", output="vector", max_tokens=MAX_TOKENS
        ),
        files={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()},
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    return tmp_path


@pytest.fixture
async def embedder(root: Path) -> AsyncIterator[OnnxEmbedder]:
    made = OnnxEmbedder(load_model(root, "tiny"), EgsSettings(max_text_characters=40))
    yield made
    await made.close()


async def vector_of(embedder: OnnxEmbedder, text: str) -> np.ndarray:
    (answer,) = await embedder.embed([TextItem(text)], Deadline.after(20))
    assert isinstance(answer, EmbeddedItem), answer
    assert answer.vectors.shape == (1, 5)
    assert answer.boxes.shape == (0, 4)
    return answer.vectors[0]


async def test_words_become_unit_vectors_of_their_tokens(embedder: OnnxEmbedder) -> None:
    assert embedder.has_text_tower
    vector = await vector_of(embedder, "red boat")
    table = np.random.default_rng(0).standard_normal((len(WORDS), 5)).astype(np.float32)
    expected = table[[2, 3, 0, 0]].mean(axis=0)
    assert vector.dtype == np.float32
    assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)


async def test_what_is_longer_than_the_tower_is_cut(embedder: OnnxEmbedder) -> None:
    whole = await vector_of(embedder, "red boat at sea")
    assert np.array_equal(await vector_of(embedder, "red boat at sea sea sea"), whole)
    assert not np.array_equal(await vector_of(embedder, "red boat at at"), whole)


async def test_words_and_pictures_go_in_one_call(embedder: OnnxEmbedder) -> None:
    items = [TextItem("red"), ImageItem(encoded(scene())), TextItem(" "), TextItem("sea " * 40), TextItem("boat")]
    answers = await embedder.embed(items, Deadline.after(20))
    kinds = [EmbeddedItem, EmbeddedItem, InvalidQuery, TooLarge, EmbeddedItem]
    assert [type(answer) for answer in answers] == kinds
    assert [error.field for error in answers if isinstance(error, InvalidQuery | TooLarge)] == ["text", "text"]


async def test_a_tower_that_does_not_say_how_sure_it_is_counts_as_sure(embedder: OnnxEmbedder) -> None:
    (answer,) = await embedder.embed([TextItem("red boat")], Deadline.after(20))
    assert isinstance(answer, EmbeddedItem)
    assert answer.confidence == 1.0


def test_a_confidence_that_the_graph_lacks_is_corrupt(root: Path) -> None:
    path = root / "tiny" / "1.0.0" / "manifest.json"
    manifest = Manifest.model_validate_json(path.read_text())
    assert manifest.text is not None
    text = manifest.text.model_copy(update={"confidence": "trust"})
    path.write_text(manifest.model_copy(update={"text": text}).model_dump_json())
    with pytest.raises(Corrupt, match="trust"):
        OnnxEmbedder(load_model(root, "tiny"), EgsSettings())


def test_a_tokenizer_that_is_none_is_corrupt(root: Path) -> None:
    folder = root / "tiny" / "1.0.0"
    (folder / "tokenizer.json").write_text("{}")
    path = folder / "manifest.json"
    manifest = Manifest.model_validate_json(path.read_text())
    files = manifest.files | {"tokenizer.json": hashlib.sha256(b"{}").hexdigest()}
    path.write_text(manifest.model_copy(update={"files": files}).model_dump_json())
    with pytest.raises(Corrupt, match=r"tokenizer\.json"):
        OnnxEmbedder(load_model(root, "tiny"), EgsSettings())


async def confidence_of(embedder: OnnxEmbedder, text: str) -> float:
    (answer,) = await embedder.embed([TextItem(text)], Deadline.after(20))
    assert isinstance(answer, EmbeddedItem), answer
    return answer.confidence


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("red boat", 1.0),
        ("red, boat!", 1.0),
        ("red кот", 0.5),
        ("猫", 0.0),
        ("кот 猫 قطة", 0.0),
        ("!?", 0.0),
        ("zzyzx", 0.0),
        ("\u26f5", 0.0),  # its name is sailboat, which this tower does not know
    ],
)
async def test_words_that_the_tower_does_not_know_are_not_understood(
    embedder: OnnxEmbedder, text: str, share: float
) -> None:
    assert await confidence_of(embedder, text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("a red chair", "a red chair"),
        ("\U0001f431", " cat face "),
        ("two \U0001f697\ufe0f", "two  automobile  "),
        ("\U0001f44d\U0001f3fd", " thumbs up sign  "),
        ("\u732b кот é", "\u732b кот é"),
        ("\u2665", " black heart suit "),
    ],
)
def test_signs_are_spelled_out_by_their_names(text: str, spelled: str) -> None:
    assert named(text, lambda character: False) == spelled
    assert named(text, lambda character: True) == text


@pytest.mark.parametrize("text", ["jeans\u2122", "\u00ae jeans", "\u2605\u2605 jeans", "jeans \u2764\ufe0f"])
def test_marks_of_rights_and_ornaments_beside_words_say_nothing(text: str) -> None:
    assert named(text, lambda character: False).split() == ["jeans"]
