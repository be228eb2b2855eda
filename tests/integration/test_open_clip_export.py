"""OpenCLIP models as registry entries: the real architecture with random weights, beside torch on real photographs."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from omma.errors import Absent, InvalidQuery, WrongState
from omma.rpc.deadline import Deadline
from services.egs.client import EmbeddedItem, ImageItem, TextItem
from services.egs.embedder import OnnxEmbedder
from services.egs.registry import Model, list_models, load_model
from services.egs.settings import EgsSettings

torch = pytest.importorskip("torch", reason="exporting needs torch: make test-training")
open_clip = pytest.importorskip("open_clip", reason="exporting needs open_clip: make test-training")

from training.export.clip_tokenizer import clip_tokenizer, uses_clip_words  # noqa: E402
from training.export.drift import image_cosines, text_cosines  # noqa: E402
from training.export.entry import Halves, Wish, export  # noqa: E402
from training.export.samples import drawn, sentences  # noqa: E402
from training.export.samples import photographs as real  # noqa: E402
from training.export.source import Source, preprocessing_of  # noqa: E402
from training.export.variants import Precision  # noqa: E402

# The smallest architecture that is CLIP's in every step: what ViT-B/32 does, a tenth as long.
SMALL = "ViT-S-32-alt"
TEXTS = [
    "a photo of a dog",
    "The BEST sailing boat I've ever seen!!!",
    "naïve café, “quoted” ‘single’ don’t — 1/2 ﬁne…",
    "日本語の写真 ΣΊΣΥΦΟΣ 😀",
    "a&amp;b &lt;tag&gt;",
    "  spaces \t and\nlines  ",
    "___foo_bar__ 123 456.78",
    "word " * 200,
    "Ｆｕｌｌ width Ǆ",
    "",
]


pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def wish() -> Wish:
    return Wish(Source.parse(SMALL, random_seed=3))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Wish:
    """Two layers of the same: an export in seconds, where the way matters and not the architecture."""
    path = tmp_path_factory.mktemp("configs") / "ViT-tiny-test.json"
    vision = {"image_size": 224, "layers": 2, "width": 128, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
    path.write_text(json.dumps({"embed_dim": 64, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(path)
    return Wish(Source.parse(path.stem, random_seed=3))


@pytest.fixture(scope="module")
def exported(wish: Wish, tmp_path_factory: pytest.TempPathFactory) -> Model:
    root = tmp_path_factory.mktemp("models")
    return export(wish, root, pictures=drawn(4), texts=sentences(4), say=lambda _line: None)


def test_the_entry_says_what_it_is(exported: Model) -> None:
    manifest = exported.manifest
    assert manifest.name == "vit-s-32-alt-random-weights-3"
    assert "random weights, seed 3" in manifest.origin
    assert {"image.onnx", "text.onnx", "tokenizer.json"} == set(manifest.files)
    assert [(one.tower, one.against, one.items) for one in manifest.drift] == [
        ("image", "torch", 4),
        ("text", "torch", 4),
    ]
    how = manifest.preprocessing
    assert (how.size, how.how, how.resample) == (224, "centre_crop", "bicubic")
    assert np.allclose(how.mean, [122.7709, 116.7460, 104.0937], atol=1e-3)


def test_photographs_and_words_are_torchs(exported: Model, wish: Wish, photographs: Path) -> None:
    halves = Halves.load(wish)
    pictures = real(photographs, 24)
    images = image_cosines(halves.model, halves.image, exported.folder, exported.manifest, pictures)
    assert images.tower.min() > 1 - 1e-5
    assert images.whole.min() > 1 - 1e-3
    assert images.apart.min() < 0.99, "photographs must differ for this to mean something"
    assert halves.text is not None
    words = text_cosines(SMALL, halves.text, exported.folder, exported.manifest, sentences(40))
    assert words.whole.min() > 1 - 1e-5
    assert words.apart.max() < 0.9999


async def test_the_embedder_serves_it(exported: Model) -> None:
    embedder = OnnxEmbedder(load_model(exported.folder.parents[1], exported.manifest.name), EgsSettings())
    (content,) = drawn(1)
    answers = await embedder.embed([ImageItem(content), TextItem("a red boat")], Deadline.after(60))
    await embedder.close()
    assert [answer.vectors.shape for answer in answers if isinstance(answer, EmbeddedItem)] == [
        (1, exported.manifest.dim)
    ] * 2


def test_tokens_are_open_clips() -> None:
    made = clip_tokenizer()
    made.enable_truncation(77)
    made.enable_padding(length=77, pad_id=0)
    texts = [*TEXTS, *sentences(1152), *_documents()]
    expected = open_clip.get_tokenizer("ViT-B-32")(texts).tolist()
    unlike = [text for text, ids in zip(texts, expected, strict=True) if made.encode(text).ids != ids]
    assert unlike == []
    assert len(texts) > 2_000


def test_a_projection_is_folded_into_both_towers(tiny: Wish, tmp_path: Path) -> None:
    dim = 64
    random = np.random.default_rng(0)
    weight, bias = random.standard_normal((16, dim)).astype(np.float32), random.standard_normal(16).astype(np.float32)
    np.savez(tmp_path / "head.npz", weight=weight, bias=bias)
    projected = Wish(tiny.source, name="projected", projection=tmp_path / "head.npz")
    model = export(projected, tmp_path / "models", pictures=drawn(2), texts=sentences(2), say=lambda _line: None)
    assert model.manifest.dim == 16
    torch.save({"proj.weight": torch.from_numpy(weight), "proj.bias": torch.from_numpy(bias)}, tmp_path / "head.pt")
    plain, folded = Halves.load(tiny), Halves.load(Wish(tiny.source, projection=tmp_path / "head.pt"))
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        by_hand = plain.image(pixels).numpy() @ weight.T + bias
        assert np.allclose(folded.image(pixels).numpy(), by_hand / np.linalg.norm(by_hand, axis=1)[:, None], atol=1e-5)
    np.savez(tmp_path / "wrong.npz", weight=weight[:, :7])
    with pytest.raises(InvalidQuery) as error:
        Halves.load(Wish(tiny.source, projection=tmp_path / "wrong.npz"))
    assert error.value.field == "projection"


@pytest.mark.parametrize(("precision", "worst", "share"), [("fp16", 0.9999, 0.75), ("int8", 0.99, 0.65)])
def test_variants_are_smaller_and_their_drift_is_measured(
    tiny: Wish, tmp_path: Path, precision: Precision, worst: float, share: float
) -> None:
    whole, small = (
        export(
            Wish(tiny.source, precision=one), tmp_path, pictures=drawn(4), texts=sentences(4), say=lambda _line: None
        )
        for one in ("fp32", precision)
    )
    assert small.manifest.name == f"{whole.manifest.name}-{precision}"
    assert small.manifest.space().signature != whole.manifest.space().signature
    for drift in small.manifest.drift:
        assert worst < drift.worst_cosine <= drift.mean_cosine <= 1
    assert small.path("image.onnx").stat().st_size < share * whole.path("image.onnx").stat().st_size


def test_the_same_seed_is_the_same_model_and_another_needs_a_version(tiny: Wish, tmp_path: Path) -> None:
    name = tiny.source.architecture
    left, right, other = (Source.parse(name, random_seed=seed).load() for seed in (3, 3, 4))
    assert all(torch.equal(one, same) for one, same in zip(left.parameters(), right.parameters(), strict=True))
    assert not torch.equal(left.visual.proj, other.visual.proj)
    for seed in (3, 3):
        same = Wish(Source.parse(name, random_seed=seed), name="seeded", image_only=True)
        export(same, tmp_path, pictures=drawn(1), texts=[], say=lambda _line: None)
    taken = Wish(Source.parse(name, random_seed=4), name="seeded", image_only=True)
    with pytest.raises(WrongState, match=r"1\.1\.0"):
        export(taken, tmp_path, pictures=drawn(1), texts=[], say=lambda _line: None)
    assert len(list_models(tmp_path)) == 1


def test_without_the_hub_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Absent, match=r"--weights FILE.*--random-weights"):
        Source.parse("ViT-B-32/laion2b_s34b_b79k").load()


def test_what_omma_cannot_do_is_refused() -> None:
    for text in ("nothing/at-all", "ViT-B-32/nothing", "ViT-B-32"):
        with pytest.raises(InvalidQuery):
            Source.parse(text)
    assert not uses_clip_words("ViT-B-16-SigLIP")
    with pytest.raises(InvalidQuery, match="--image-only"):
        Halves.load(Wish(Source.parse("ViT-B-16-SigLIP", random_seed=0)))
    model = Source.parse(SMALL, random_seed=0).load()
    open_clip.set_model_preprocess_cfg(model, {**open_clip.get_model_preprocess_cfg(model), "resize_mode": "longest"})
    with pytest.raises(InvalidQuery, match="longest"):
        preprocessing_of(model)


def test_the_command_says_where_it_is(tmp_path: Path) -> None:
    words = ["model", "export", "--open-clip", SMALL, "--random-weights", "1", "--image-only", "--count", "2", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "services.standalone", *words, "--registry", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert load_model(tmp_path, said["model"]).manifest.text is None


def _documents() -> list[str]:
    root = Path(__file__).parents[2]
    files = [*root.glob("docs/**/*.md"), *root.glob("services/gateway/**/*.py"), root / "LICENSE"]
    return [line for file in files for line in file.read_text().splitlines() if line.strip()]
