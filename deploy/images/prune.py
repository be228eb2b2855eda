"""python deploy/images/prune.py: remove from this virtual environment what no process of Omma loads.

It builds, tests or documents packages, or serves calls that Omma never makes. The sizes were measured in this image.
What is left is tried before this ends: hashes of a picture are the only use of SciPy, S3 the only one of botocore.
"""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

_BUILD_TOOLS: Final = ("hatchling", "editables", "trove_classifiers", "pathspec", "pluggy", "tomlkit")
_NOT_LOADED: Final = (
    "pywt",  # 10 MB: wavelet hashes
    "hf_xet",  # 11 MB: downloads from a hub
    "huggingface_hub",  # 8 MB: the same, of the tokenizers
    "onnxruntime/tools",  # 10 MB, these three: they make models
    "onnxruntime/transformers",
    "onnxruntime/quantization",
    "sqlalchemy/testing",
    "sqlalchemy/dialects/mssql",
    "sqlalchemy/dialects/mysql",
    "sqlalchemy/dialects/oracle",
    "numpy/distutils",
    "services/standalone/shipped",  # the models lie in /models
    "pip",
    "setuptools",
    "pkg_resources",
    "_distutils_hack",
    "distutils-precedence.pth",
)
_SOURCES: Final = (".pyx", ".pxd", ".c", ".cpp", ".h", ".hpp", ".pyi")
"""Of what is compiled already."""
_SCIPY_KEPT: Final = {"_lib", "_external", "fft", "fftpack", "linalg", "special"}
"""What importing `scipy.fftpack` loads: 113 MB become 35."""
_SERVICES_KEPT: Final = {"s3", "sts", "sso", "sso-oidc"}
"""Of botocore's 420: 25 MB."""

_LEXERS_KEPT: Final = {"__init__.py", "_mapping.py", "python.py"}
"""Of pygments: 4 MB of sources, as much compiled. Tracebacks on a terminal are Python."""

_TRIED: Final = """
import boto3, faiss, grpc, imagehash, onnxruntime, scipy.fftpack, tokenizers, tritonclient.grpc.aio
from PIL import Image
imagehash.phash(Image.new("RGB", (64, 64)))
boto3.client("s3", region_name="us-east-1")
import pygments.lexers.python, sqlalchemy.dialects.postgresql, sqlalchemy.dialects.sqlite
from services.standalone.cli import command_line
import services.egs.main, services.gateway.main, services.indexer.main
import services.nn_shard.main, services.rerank.main, services.worker.main
"""


def prune(packages: Path) -> None:
    """packages: a site-packages folder. Of commands `python` and `omma` stay."""
    for name in (*_BUILD_TOOLS, *_NOT_LOADED):
        _remove(packages / name)
    for tests in [folder for folder in packages.rglob("tests") if folder.is_dir()]:
        _remove(tests)
    for part in (packages / "scipy").iterdir():
        if part.is_dir() and part.name not in _SCIPY_KEPT:
            _remove(part)
    for service in (packages / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in _SERVICES_KEPT:
            _remove(service)
    for lexer in (packages / "pygments" / "lexers").iterdir():
        if lexer.name not in _LEXERS_KEPT:
            _remove(lexer)
    for source in [one for end in _SOURCES for one in packages.rglob(f"*{end}")]:
        _remove(source)
    for script in Path(sysconfig.get_path("scripts")).iterdir():
        if script.name != "omma" and not script.name.startswith("python"):
            _remove(script)
    # Of extension modules only: what auditwheel has patched, in *.libs, does not outlive it.
    modules = [one for one in packages.rglob("*.so") if not one.parent.name.endswith(".libs")]
    subprocess.run(["strip", "--strip-unneeded", *modules], check=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    prune(Path(sysconfig.get_path("purelib")))
    sys.exit(subprocess.run([sys.executable, "-B", "-c", _TRIED], check=False, cwd="/").returncode)
