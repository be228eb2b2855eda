"""Triton Inference Server on the CPU, from PyPI's nvidia-pytriton. OMMA_TEST_TRITON=host:port uses another one.

The wheel has the real server and its Python backend, and no ONNX backend: models are rendered for `--platform python`.
A server that was given must serve the models that the tests ask for.
"""

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.parts.cache import build_step, cached
from deploy.parts.http import get_ok
from deploy.parts.missing import PartMissing
from deploy.parts.ports import free_port
from deploy.parts.server import Server

VERSION: Final = "0.7.0"


@dataclass(frozen=True)
class Triton:
    """url: host:port of its gRPC."""

    url: str
    own: Server | None

    def environment(self) -> dict[str, str]:
        """What points other tests at it."""
        return {"OMMA_TEST_TRITON": self.url}

    @property
    def server(self) -> Server:
        """What a fault run kills. Raises PartMissing for a server that was given."""
        if self.own is None:
            raise PartMissing("Triton", "the one in OMMA_TEST_TRITON cannot be stopped from here; unset it")
        return self.own


@contextmanager
def triton(repository: Path, host: str = "127.0.0.1") -> Iterator[Triton]:
    """Serves every model in the repository; a model that cannot be loaded ends it."""
    given = os.environ.get("OMMA_TEST_TRITON")
    if given:
        yield Triton(given, None)
        return
    home = install_triton()
    server = Server("triton")
    try:
        grpc_port, http_port = free_port(host), free_port(host)
        server.start(
            [
                home / "pytriton/tritonserver/bin/tritonserver",
                f"--model-repository={repository}",
                f"--backend-directory={home / 'pytriton/tritonserver/backends'}",
                f"--grpc-address={host}",
                f"--grpc-port={grpc_port}",
                f"--http-address={host}",
                f"--http-port={http_port}",
                "--allow-metrics=false",
                # Unless told 30 s, for a Python that starts on a machine with much else to do.
                "--backend-config=python,stub-timeout-seconds=120",
            ],
            lambda: get_ok(f"http://{host}:{http_port}/v2/health/ready"),
            {
                "LD_LIBRARY_PATH": f"{sysconfig.get_config_var('LIBDIR')}:{home / 'nvidia_pytriton.libs'}",
                # The models run in this Python's site-packages: onnxruntime and numpy.
                "PYTHONPATH": sysconfig.get_path("purelib"),
            },
        )
        yield Triton(f"{host}:{grpc_port}", server)
    finally:
        server.close()


def install_triton() -> Path:
    """The folder with its wheel, downloaded once. Raises PartMissing."""
    return cached(f"triton-{VERSION}-py{sys.version_info.major}{sys.version_info.minor}", _build)


def _build(folder: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    build_step(
        "Triton",
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, f"nvidia-pytriton=={VERSION}"],
    )
    server = folder / "pytriton" / "tritonserver"
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.exists():
        raise PartMissing("Triton", f"its Python backend has no stub for Python {version}; use another Python")
    for path in (stub, server / "bin" / "tritonserver"):
        path.chmod(0o755)
    shutil.copy(stub, server / "backends" / "python")
