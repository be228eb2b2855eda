"""`training/train_simclr.py` as a process: cut off, spread over ranks, and served."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from services.egs.registry import load_model  # noqa: E402
from tests.e2e.process import Folder  # noqa: E402
from tests.pictures import encoded, scene  # noqa: E402

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "training" / "train_simclr.py")
STEPS = 12
"""Of each run here: three epochs of 16 photographs, four a step."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 to train on and 6 held out (by their names), in two folders, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(22):
        path = folder / ("round" if number % 2 else "square") / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(scene(40, 40, number)))
    (folder / "round" / "broken.jpg").write_text("no picture")
    return folder


def command(pictures: Path, to: Path, *more: str, ranks: int = 1) -> list[str]:
    launched = [sys.executable]
    if ranks > 1:
        launched += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    given = {
        "data_root": pictures, "run_dir": to / "run", "registry": to / "models", "backbone": "small-cnn", "epochs": 3,
        "batch_size": 4, "size": 32, "train_size": 32, "threads": 1, "held_out": 0.3, "checkpoint_seconds": 0,
        "device": "cpu",
    }  # fmt: skip
    return [*launched, SCRIPT, *(word for name, value in given.items() for word in (f"--{name}", str(value))), *more]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def trained(pictures: Path, to: Path, *more: str, ranks: int = 1) -> list[dict[str, Any]]:
    """A run to its end; the rows of its metrics."""
    with subprocess.Popen(
        command(pictures, to, *more, ranks=ranks), cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            said = process.communicate(timeout=200)[1]
        finally:
            process.terminate()  # torchrun ends its workers with it; killed, it would leave them
    assert process.returncode == 0, said
    return rows_of(to)


def rows_of(to: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (to / "run" / "metrics.jsonl").read_text().splitlines()]


def weights(to: Path) -> dict[str, "torch.Tensor"]:
    return torch.load(to / "run" / "checkpoint.pt", weights_only=True)["state"]["model"]


@pytest.fixture(scope="module")
def unbroken(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("unbroken")
    trained(pictures, to)
    return to


@pytest.mark.timeout(240)
def test_a_run_leaves_what_it_should(unbroken: Path):
    rows = rows_of(unbroken)
    assert [row["step"] for row in rows if "step" in row] == list(range(1, STEPS + 1))
    assert [row["epoch"] for row in rows if "map_head" in row] == [0, 1, 2, 3]
    report = (unbroken / "run" / "report.md").read_text()
    assert "round/broken.jpg" in report and "95 % interval" in report and "simclr-small-cnn@0.1.0" in report
    assert (unbroken / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")
    model = load_model(unbroken / "models", "simclr-small-cnn@0.1.0")
    assert model.manifest.dim == 256 and model.manifest.preprocessing.size == 32
    middles = model.trained_on()
    assert middles is not None and np.allclose(np.linalg.norm(middles.astype(np.float32), axis=1), 1, atol=2e-3)
    assert not list((unbroken / "run").rglob("*.part*"))


@pytest.mark.timeout(240)
def test_killed_at_any_moment_it_goes_on_to_the_same_end(pictures: Path, unbroken: Path, tmp_path: Path):
    """kill -9 in the second epoch, then to the end."""
    metrics = tmp_path / "run" / "metrics.jsonl"
    for epoch in (1,):
        with subprocess.Popen(
            command(pictures, tmp_path), cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True
        ) as process:
            for line in process.stderr or ():  # blocks until the process says something
                if line.startswith(f"epoch {epoch}/"):
                    break
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert 4 * epoch <= metrics.read_text().count("loss") < STEPS
    # A row that no checkpoint knows of, cut off in the middle: what a crash between the two leaves.
    with metrics.open("a") as file:
        file.write('{"step": 99, "lo')
    rows = trained(pictures, tmp_path)
    assert rows == rows_of(unbroken)
    for name, value in weights(unbroken).items():
        assert torch.equal(weights(tmp_path)[name], value), name


@pytest.mark.timeout(240)
def test_two_ranks_are_one_process_with_the_joint_batch(pictures: Path, unbroken: Path, tmp_path: Path):
    """Under torchrun, each with half of the batch in chunks of three views: losses and weights of the one process."""
    losses = [
        [row["loss"] for row in rows if "loss" in row]
        for rows in (trained(pictures, tmp_path, "--chunk", "3", ranks=2), rows_of(unbroken))
    ]
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-6)
    assert losses[0] == pytest.approx(losses[1], rel=5e-3)  # Adam makes more of a last bit with every step


@pytest.mark.timeout(240)
def test_omma_up_serves_what_it_made(unbroken: Path, tmp_path: Path):
    folder = Folder(tmp_path / "omma")
    settings = {"OMMA_EGS__MODELS_DIR": str(unbroken / "models")}
    picture = encoded(scene(40, 40, 3))
    with folder.up("--model", "simclr-small-cnn@0.1.0", **settings) as server, server.client() as client:
        uploaded = client.post("/images", files={"image": picture}).json()
        found = client.post("/search", files={"image": picture}, data={"receipts": uploaded["receipt"], "k": 1}).json()
        assert found["space"].startswith("simclr-small-cnn-0.1.0-")
        assert found["results"][0]["id"] == uploaded["id"] and found["results"][0]["score"] > 0.999
        assert server.stop() == 0


@pytest.mark.timeout(240)
def test_a_finished_run_is_finished_and_another_setting_is_another_run(pictures: Path, unbroken: Path):
    before = weights(unbroken)
    trained(pictures, unbroken)
    assert all(torch.equal(value, before[name]) for name, value in weights(unbroken).items())
    assert [one.name for one in (unbroken / "models" / "simclr-small-cnn").iterdir()] == ["0.1.0"]
    done = subprocess.run(
        command(pictures, unbroken, "--temperature", "0.2"), cwd=ROOT, env=environment(), capture_output=True,
        text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 4 and "temperature 0.07" in done.stderr
