"""What decoding a picture of 128 megapixels, or of N, takes: memory beside its own bytes, and time.

    python -m loadtests.picture_memory [MEGAPIXELS] [--kind NAME …]

Each kind is drawn once, into the cache, and then decoded as EGS does, in a process of its own.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

from loadtests.bench.figures import Report
from loadtests.bench.vectors import cache
from omma.images import PictureFile, PictureLimits

_SIDE = 512
_KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "JPEG": ("RGB", "JPEG", {"quality": 80}),
    "JPEG, progressive": ("RGB", "JPEG", {"quality": 80, "progressive": True}),
    "JPEG, progressive, 4:4:4": ("RGB", "JPEG", {"quality": 80, "progressive": True, "subsampling": 0}),
    "PNG": ("RGB", "PNG", {"compress_level": 1}),
    "PNG with alpha": ("RGBA", "PNG", {"compress_level": 1}),
    "PNG of 16 bits": ("I;16", "PNG", {"compress_level": 1}),
    "TIFF, LZW": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "TIFF, CMYK": ("CMYK", "TIFF", {"compression": "tiff_lzw"}),
    "GIF": ("P", "GIF", {}),
    "WebP": ("RGB", "WEBP", {"quality": 60, "method": 0}),
    "HEIC": ("RGB", "HEIF", {"quality": 30, "enc_params": {"preset": "ultrafast"}}),
    "AVIF": ("RGB", "AVIF", {"quality": 50, "speed": 10}),
    "AVIF with alpha": ("RGBA", "AVIF", {"quality": 50, "speed": 10}),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("megapixels", nargs="?", type=int, default=128)
    parser.add_argument("--kind", action="append", choices=_KINDS)
    parser.add_argument("--decode", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--draw", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.draw:
        _draw(given.draw, given.kind[0], given.megapixels)
        return 0
    if given.decode:
        print(json.dumps(_decode(given.decode)))
        return 0
    name = "picture_memory" if given.megapixels == 128 else f"picture_memory_{given.megapixels}"
    report = Report(name, f"python -m loadtests.picture_memory {given.megapixels}")
    table = report.table(
        f"A picture of {given.megapixels} megapixels, decoded for an embedding and a thumbnail.",
        ["kind", "encoded MB", "memory MB", "bytes a pixel", "counted as MB", "seconds"],
    )
    held = True
    for kind in given.kind or _KINDS:
        path = cache() / "pictures" / f"{given.megapixels}-{kind.replace(' ', '_')}"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            _child("--draw", str(path), "--kind", kind, str(given.megapixels))
        said = json.loads(_child("--decode", str(path)))
        held &= said["bytes"] <= said["counted"] + (32 << 20)
        table.rows.append(
            [
                kind,
                f"{path.stat().st_size / 1e6:.1f}",
                f"{said['bytes'] / 1e6:.0f}",
                f"{said['bytes'] / said['pixels']:.1f}",
                f"{said['counted'] / 1e6:.0f}",
                f"{said['seconds']:.1f}",
            ]
        )
    report.target("decoding: held as memory, against what it is counted as", "see the table", "<= 32 MiB more", held)
    report.save()
    return int(not held)


def _child(*arguments: str) -> str:
    command = [sys.executable, "-m", "loadtests.picture_memory", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _draw(path: Path, kind: str, megapixels: int) -> None:
    """As wide as three to its height of two, so that a decoder may reduce it to an eighth."""
    pillow_heif.register_heif_opener()
    mode, format, options = _KINDS[kind]
    height = math.isqrt(megapixels * 1_000_000 * 2 // 3)
    size = (megapixels * 1_000_000 // height, height)
    small = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8))
    convert: Callable[[Image.Image], Image.Image] = lambda image: image.convert(mode)  # noqa: E731
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(small.convert("L").resize(size), np.uint16) * 257)
    else:
        picture = convert(small.resize(size, Image.Resampling.NEAREST if mode == "P" else Image.Resampling.BICUBIC))
    if mode == "RGBA":
        picture.putalpha(200)
    partial = path.with_suffix(".part")
    picture.save(partial, format, **options)
    partial.rename(path)


def _decode(path: Path) -> dict[str, float]:
    limits = PictureLimits(max_pixels=1 << 30, max_bytes=1 << 30)
    content = path.read_bytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    file = PictureFile(content, limits)
    counted = file.bytes_needed(_SIDE)
    file.decode(_SIDE)
    return {
        "seconds": time.perf_counter() - started,
        "bytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024,
        "counted": counted,
        "pixels": file.width * file.height,
    }


if __name__ == "__main__":
    sys.exit(main())
