"""Every route, asked by Schemathesis what its own document says may be asked, and what it says may not: no 5xx."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.process import Folder
from tests.pictures import encoded, scene

pytestmark = pytest.mark.timeout(900)

EXAMPLES = 4
KEY = "a-key-of-an-admin-that-is-long-enough"


def test_no_route_answers_5xx(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "data")
    with folder.up(OMMA_ADMIN_KEY=KEY) as server, server.client() as rest:
        rest.headers["x-api-key"] = KEY
        for seed in range(8):
            added = rest.post("/images", files={"image": encoded(scene(64, 48, seed=seed))}, data={"tags": "lamp"})
            assert added.is_success, added.text
        run = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
                *("--header", f"X-API-Key: {KEY}", "--checks", "not_a_server_error", "--continue-on-failure"),
                *("--phases", "examples,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "1"),
                *("--request-timeout", "120", "--no-color"),
            ],
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if not name.startswith("OMMA_")},
            capture_output=True,
            text=True,
            timeout=800,
            check=False,
        )
        assert run.returncode == 0, run.stdout[-8_000:] + run.stderr[-2_000:]
        said = re.search(r"Tested: (\d+)", run.stdout)
        routes = sum(len(methods) for methods in rest.get("/openapi.json").json()["paths"].values())
        assert said is not None and int(said[1]) == routes
