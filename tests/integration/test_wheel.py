"""The wheel has the model and the page inside, and nothing beside its packages."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.timeout(600)


def test_the_model_and_the_page_are_in_it(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("omma-*.whl")
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    model = "services/standalone/shipped/omma-mini"
    assert any(name.startswith(f"{model}/") and name.endswith("/manifest.json") for name in names)
    assert any(name.endswith("/image.onnx") for name in names) and any(name.endswith("/text.onnx") for name in names)
    assert {"services/gateway/rest/page/page.zip", "migrations/env.py"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"omma", "services", "migrations"}
