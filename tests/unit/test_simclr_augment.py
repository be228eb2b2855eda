"""Augmentations: strong, and decided row by row by their random numbers alone."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.pictures import scene  # noqa: E402
from training.simclr.augment import UNIFORMS, Augmentation  # noqa: E402

AREA, RATIO, X, Y, FLIP, BRIGHTNESS, CONTRAST, SATURATION, HUE, JITTERED, GREY, BLURRED, SIGMA = range(UNIFORMS)


@pytest.fixture(scope="module")
def pictures() -> "torch.Tensor":
    return torch.from_numpy(np.stack([np.asarray(scene(64, 64, seed)) for seed in range(6)]))


def untouched(rows: int, **changed: float) -> "torch.Tensor":
    """Random numbers that leave a picture as it is, but for those that are named."""
    numbers = torch.full((rows, UNIFORMS), 0.5)
    numbers[:, [AREA, FLIP, JITTERED, GREY, BLURRED]] = 1.0
    for name, value in changed.items():
        numbers[:, globals()[name]] = value
    return numbers


def planes(pictures: "torch.Tensor") -> "torch.Tensor":
    return pictures.permute(0, 3, 1, 2).float() / 255


def test_numbers_in_the_middle_change_nothing(pictures: "torch.Tensor"):
    views = Augmentation(64).views(pictures, untouched(6))
    torch.testing.assert_close(views, planes(pictures), atol=1e-4, rtol=0)


def test_flip_is_the_mirror(pictures: "torch.Tensor"):
    views = Augmentation(64).views(pictures, untouched(6, FLIP=0.0))
    torch.testing.assert_close(views, planes(pictures).flip(3), atol=1e-4, rtol=0)


def test_a_crop_is_that_part_of_the_picture(pictures: "torch.Tensor"):
    """A quarter of the area, in the upper left corner, at its own resolution."""
    views = Augmentation(32, least_area=0.25).views(pictures, untouched(6, AREA=0.0, X=0.0, Y=0.0))
    torch.testing.assert_close(views, planes(pictures)[:, :, :32, :32], atol=1e-4, rtol=0)


def test_grey_has_equal_channels_and_the_pictures_luma(pictures: "torch.Tensor"):
    views = Augmentation(64).views(pictures, untouched(6, GREY=0.0))
    luma = (planes(pictures) * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1)
    for channel in range(3):
        torch.testing.assert_close(views[:, channel], luma, atol=1e-4, rtol=0)


def test_hue_turns_colours_and_keeps_grey():
    grey = torch.full((1, 8, 8, 3), 90, dtype=torch.uint8)
    red = torch.zeros(1, 8, 8, 3, dtype=torch.uint8)
    red[..., 0] = 120
    turned = Augmentation(8).views(torch.cat([grey, red]), untouched(2, HUE=1.0, JITTERED=0.0))
    torch.testing.assert_close(turned[0], torch.full((3, 8, 8), 90 / 255), atol=1e-4, rtol=0)
    assert turned[1, 1:].max() > 0.03


def test_blur_keeps_the_mean_and_lessens_the_detail(pictures: "torch.Tensor"):
    sharp = Augmentation(64).views(pictures, untouched(6))
    soft = Augmentation(64).views(pictures, untouched(6, BLURRED=0.0, SIGMA=1.0))
    assert (soft.mean(dim=(1, 2, 3)) - sharp.mean(dim=(1, 2, 3))).abs().max() < 0.01
    assert (soft.diff(dim=3).abs().mean() < 0.97 * sharp.diff(dim=3).abs().mean()).item()


def test_rows_do_not_know_each_other(pictures: "torch.Tensor"):
    numbers = torch.rand(6, UNIFORMS, generator=torch.Generator().manual_seed(3))
    augmentation = Augmentation(48)
    together = augmentation.views(pictures, numbers)
    for row in range(6):
        alone = augmentation.views(pictures[row : row + 1], numbers[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], atol=1e-6, rtol=0)


def test_two_draws_differ_much_and_stay_colours(pictures: "torch.Tensor"):
    numbers = torch.rand(12, UNIFORMS, generator=torch.Generator().manual_seed(4))
    first, second = Augmentation(64).views(pictures.repeat(2, 1, 1, 1), numbers).chunk(2)
    assert (first - second).abs().mean(dim=(1, 2, 3)).min() > 0.03
    assert min(first.min(), second.min()) >= 0 and max(first.max(), second.max()) <= 1
