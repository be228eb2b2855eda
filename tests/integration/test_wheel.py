"""The wheel, installed where nothing of this checkout is: `omma up` answers with the model and the page inside."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT
from tests.pictures import encoded, scene

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make wheel` does, from what git knows: a build has no other files at hand."""
    out = tmp_path_factory.mktemp("dist")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (made,) = out.glob("omma-*.whl")
    return made


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment with the wheel, and with this one's packages beside it for what the wheel needs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python3*/site-packages")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(site)
    # Not by a .pth file as it stands: this environment's own one leads to the checkout.
    paths = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "beside.pth").write_text("\n".join(paths))
    return folder / "bin" / "python"


def test_the_model_and_the_page_are_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    model = "services/standalone/shipped/omma-mini"
    assert any(name.startswith(f"{model}/") and name.endswith("/manifest.json") for name in names)
    assert any(name.endswith("/image.onnx") for name in names) and any(name.endswith("/text.onnx") for name in names)
    assert {"services/gateway/rest/page/page.zip", "migrations/env.py"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"omma", "services", "migrations"}


def test_it_serves_from_an_empty_folder_far_from_the_checkout(python: Path, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMMA_", "PYTHON"))}
    settings = {"OMMA_DATA_DIR": str(tmp_path / "data"), "OMMA_HTTP_PORT": "0", "OMMA_GRPC_PORT": "0"}
    where = "import omma, services, migrations; print(omma.__file__, services.__file__, migrations.__file__)"
    told = subprocess.run([python, "-c", where], cwd=tmp_path, env=kept, capture_output=True, text=True, check=True)
    assert str(ROOT) not in told.stdout, "the wheel's, not the checkout's"
    command = [python, "-m", "services.standalone", "up", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, env=kept | settings, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line, "it ended"
            url = json.loads(line)["url"]
            with httpx.Client(base_url=url, timeout=60) as client:
                page = client.get("/")
                assert page.status_code == 200 and "<script" in page.text
                made = client.post("/images", files={"image": encoded(scene())}).raise_for_status().json()
                wanted = {"text": "a picture", "k": 1, "timeout_ms": 30_000, "receipts": made["receipt"]}
                found = client.get("/search", params=wanted).raise_for_status().json()
                assert [hit["id"] for hit in found["results"]] == [made["id"]]
        finally:
            process.terminate()
            assert process.wait(timeout=60) == 0
