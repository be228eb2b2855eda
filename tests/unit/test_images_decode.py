"""One picture is one picture, however it was stored."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from pictures import animation, encoded, oriented, scene
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from omma.images import PictureFile, PictureLimits, crop_box, phash, thumbnail_webp, verify

LIMITS = PictureLimits()


def decoded(content: bytes) -> Image.Image:
    return PictureFile(content, LIMITS).decode().pixels


def difference(left: Image.Image, right: Image.Image) -> float:
    """Mean absolute difference, 0 ... 255."""
    assert left.size == right.size
    assert left.mode == right.mode == "RGB"
    return float(np.abs(np.asarray(left, np.int16) - np.asarray(right, np.int16)).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_every_orientation_comes_out_upright(format: str, orientation: int) -> None:
    upright = scene(160, 96)
    file = PictureFile(oriented(upright, orientation, format), LIMITS)
    assert (file.width, file.height) == (160, 96)
    assert difference(file.decode().pixels, upright) < 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("least_side", [0, 64])
def test_a_crop_of_a_turned_picture_is_the_crop_of_the_upright_one(orientation: int, least_side: int) -> None:
    upright = scene(640, 400)
    box = crop_box((120, 40, 480, 360), 640, 400)
    picture = PictureFile(oriented(upright, orientation), LIMITS).decode(least_side, [box])
    assert (picture.pixels.width < 640) == bool(least_side)
    expected = upright.crop(box).resize((64, 64), Image.Resampling.BILINEAR)
    assert difference(picture.resized(box, (64, 64), Image.Resampling.BILINEAR), expected) < 3


def test_nothing_beyond_its_edge_seeps_into_a_crop() -> None:
    picture = Image.new("RGB", (60, 20), (255, 0, 0))
    picture.paste((0, 0, 255), (20, 0, 40, 20))
    decoded_once = PictureFile(encoded(picture, "PNG"), LIMITS).decode()
    crop = decoded_once.resized((20, 0, 40, 20), (64, 64), Image.Resampling.BICUBIC)
    assert (np.asarray(crop) == (0, 0, 255)).all()


def sixteen_bits(grey: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(grey, np.uint16) * 257)


def lab(picture: Image.Image) -> Image.Image:
    made = ImageCms.profileToProfile(
        picture, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert made is not None
    return made


def floats(grey: Image.Image, high: float) -> Image.Image:
    values: npt.NDArray[np.float32] = np.asarray(grey, np.float32) * (high / 255)
    return Image.fromarray(values)


@pytest.mark.parametrize(
    ("name", "format", "make"),
    [
        ("16-bit PNG", "PNG", sixteen_bits),
        ("16-bit TIFF", "TIFF", sixteen_bits),
        ("float TIFF, 0 to 1", "TIFF", lambda grey: floats(grey, 1.0)),
        ("float TIFF, 0 to 255", "TIFF", lambda grey: floats(grey, 255.0)),
        ("int32 TIFF, 0 to 65535", "TIFF", lambda grey: Image.fromarray(np.asarray(grey, np.int32) * 257)),
        ("grey with alpha", "PNG", lambda grey: grey.convert("LA")),
        ("grey JPEG", "JPEG", lambda grey: grey),
    ],
)
def test_grey_pictures_are_scaled_not_clipped(name: str, format: str, make: object) -> None:
    grey = scene().convert("L")
    assert difference(decoded(encoded(make(grey), format)), grey.convert("RGB")) < 2, name


@pytest.mark.parametrize(
    ("name", "format", "make", "most"),
    [
        ("CMYK JPEG", "JPEG", lambda rgb: rgb.convert("CMYK"), 4),
        ("YCbCr JPEG", "JPEG", lambda rgb: rgb.convert("YCbCr"), 4),
        ("palette PNG", "PNG", lambda rgb: rgb.quantize(256), 4),
        ("palette GIF", "GIF", lambda rgb: rgb.quantize(256), 4),
        ("palette with alpha", "TIFF", lambda rgb: rgb.quantize(256).convert("RGBA"), 4),
        ("Lab TIFF", "TIFF", lab, 4),
        ("CMYK TIFF", "TIFF", lambda rgb: rgb.convert("CMYK"), 4),
        ("opaque RGBA", "WEBP", lambda rgb: rgb.convert("RGBA"), 4),
    ],
)
def test_colour_pictures_keep_their_colours(name: str, format: str, make: object, most: float) -> None:
    upright = scene()
    content = encoded(make(upright), format)
    assert difference(decoded(content), upright) < most, name
    assert (phash(decoded(content)) ^ phash(upright)).bit_count() <= 2, name


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB with a transparent colour", "1 with transparency"])
def test_what_is_transparent_is_white(mode: str) -> None:
    clear = Image.new("RGBA", (16, 16), (200, 10, 10, 0))
    match mode:
        case "P":
            picture = Image.new("P", (16, 16), 3)
            picture.putpalette([0, 0, 0] * 256)
            content = encoded(picture, "PNG", transparency=3)
        case "RGB with a transparent colour":
            content = encoded(Image.new("RGB", (16, 16), (5, 6, 7)), "PNG", transparency=(5, 6, 7))
        case "1 with transparency":
            content = encoded(Image.new("1", (16, 16), 0), "PNG", transparency=0)
        case _:
            content = encoded(clear.convert(mode), "PNG")
    assert np.asarray(decoded(content)).min() == 255


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_white_on_nothing_is_seen_on_grey(mode: str) -> None:
    icon = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    icon.paste((255, 255, 255, 255), (4, 4, 12, 12))
    seen = np.asarray(decoded(encoded(icon.convert(mode), "PNG")))
    assert seen[0, 0].tolist() == [128] * 3
    assert seen[8, 8].tolist() == [255] * 3
    icon.putpixel((5, 5), (200, 0, 0, 255))
    assert np.asarray(decoded(encoded(icon.convert(mode), "PNG")))[0, 0].tolist() == [255] * 3


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame_counts(format: str) -> None:
    first = Image.new("RGB", (8, 8), (0, 0, 99))
    assert difference(decoded(animation(5, format)), first) < 6


def test_a_picture_of_two_cameras_is_read_as_a_jpeg() -> None:
    left, right = scene(96, 64, 1), scene(96, 64, 2)
    content = encoded(left, "MPO", quality=95, save_all=True, append_images=[right])
    assert verify(content).media_type == "image/jpeg"
    assert difference(decoded(content), left) < 6


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_exif_that_cannot_be_read_turns_nothing() -> None:
    content = encoded(scene(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    assert verify(content).width == 320


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_large_picture_is_reduced_no_further_than_asked(format: str) -> None:
    content = encoded(scene(2400, 1300), format)
    picture = PictureFile(content, LIMITS).decode(600)
    assert picture.pixels.size == (1200, 650)
    assert (picture.width, picture.height) == (2400, 1300)
    assert PictureFile(content, LIMITS).decode(700).pixels.size == (2400, 1300)
    assert PictureFile(content, LIMITS).decode(600, [(0, 0, 2400, 1000)]).pixels.size == (2400, 1300)


@pytest.mark.parametrize(
    ("size", "expected"), [((640, 320), (256, 128)), ((100, 50), (100, 50)), ((3000, 2), (256, 1))]
)
def test_thumbnails_are_webp_within_their_side(size: tuple[int, int], expected: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(thumbnail_webp(scene(*size)))) as made:
        assert made.format == "WEBP"
        assert made.size == expected


@pytest.mark.parametrize("kind", ["exif as text", "packed exif as text", "XMP", "packed XMP"])
def test_a_png_says_its_orientation_in_a_text_among_longer_ones(kind: str) -> None:
    upright = scene(160, 96)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    said = PngImagePlugin.PngInfo()
    said.add_text("workflow", "{}" * 2_000_000, zip=True)
    if "exif" in kind:
        packed = (b"Exif\0\0" + exif.tobytes()).hex()
        lines = "\n".join(packed[at : at + 72] for at in range(0, len(packed), 72))
        said.add_text("Raw profile type exif", f"\nexif\n{len(packed) // 2:8}\n{lines}\n", zip="packed" in kind)
    else:
        xmp = '<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
        said.add_itxt("XML:com.adobe.xmp", xmp, zip="packed" in kind)
    content = encoded(upright.transpose(Image.Transpose.ROTATE_90), "PNG", pnginfo=said)
    file = PictureFile(content, LIMITS)
    assert (file.width, file.height) == (160, 96)
    assert difference(file.decode().pixels, upright) == 0
