"""The wheel has the model and the page inside, nothing beside its packages, and serves where nothing else is."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT
from tests.e2e.process import Folder

PLENTY = 120.0

pytestmark = pytest.mark.timeout(600)


def ran(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    ran(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (built,) = folder.glob("omma-*.whl")
    return built


def test_the_model_and_the_page_are_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    model = "services/standalone/shipped/omma-mini"
    assert any(name.startswith(f"{model}/") and name.endswith("/manifest.json") for name in names)
    assert any(name.endswith("/image.onnx") for name in names) and any(name.endswith("/text.onnx") for name in names)
    assert {"services/gateway/rest/page/page.zip", "migrations/env.py"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"omma", "services", "migrations"}


def test_an_environment_that_had_nothing_serves_with_it(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    pip = (binaries / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps")
    ran(*pip, "-r", ROOT / "locks" / "base.txt")
    ran(*pip, wheel)
    with Folder(tmp_path / "data", (str(binaries / "omma"),)).up() as server:
        found = httpx.get(f"{server.url}/search", params={"text": "a lamp"}, timeout=PLENTY)
        assert found.is_success and found.json()["space"].startswith("omma-mini-"), found.text
        assert "<script" in httpx.get(server.url, timeout=PLENTY).text
        assert server.stop() == 0
