"""Cores: the affinity mask's, and no more than the cgroup's quota pays for."""

import os
from pathlib import Path

import pytest

from omma.cores import cores

MANY = range(16)
QUOTA, PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(MANY))


def told(tmp_path: Path, own: str, files: dict[str, str]) -> int:
    proc, groups = tmp_path / "cgroup", tmp_path / "groups"
    proc.write_text(own)
    for name, content in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(content)
    return cores(proc, groups)


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "5000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 16),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 16),
        ("0::/pods/one\n", {"pods/one/cpu.max": "max 100000\n", "pods/cpu.max": "300000 100000\n"}, 3),
        ("0::/pods/one\n", {"pods/one/cpu.max": "400000 100000\n", "pods/cpu.max": "max 100000\n"}, 4),
        ("4:cpu,cpuacct:/a\n", {f"cpu,cpuacct/a/{QUOTA}": "250000", f"cpu,cpuacct/a/{PERIOD}": "50000"}, 5),
        ("4:cpu,cpuacct:/a\n", {f"cpu/{QUOTA}": "600000", f"cpu/{PERIOD}": "100000"}, 6),
        ("4:cpu,cpuacct:/a\n", {f"cpu/{QUOTA}": "-1", f"cpu/{PERIOD}": "100000"}, 16),
        ("7:memory:/a\n", {"cpu.max": "100000 100000"}, 16),
        ("0::/\n", {"cpu.max": "rubbish"}, 16),
        ("0::/\n", {"cpu.max": "100000 0"}, 16),
        ("rubbish", {}, 16),
    ],
)
def test_the_least_of_mask_and_quota(tmp_path: Path, own: str, files: dict[str, str], expected: int) -> None:
    assert told(tmp_path, own, files) == expected


def test_a_machine_without_cgroups_goes_by_its_mask(tmp_path: Path) -> None:
    assert cores(tmp_path / "none", tmp_path / "none") == len(MANY)


def test_nothing_else_counts_cores() -> None:
    root = Path(__file__).parents[2]
    found = [
        path.relative_to(root).as_posix()
        for folder in ("omma", "services", "training", "loadtests", "deploy")
        for path in (root / folder).rglob("*.py")
        if "sched_getaffinity" in path.read_text() or "os.cpu_count" in path.read_text()
    ]
    assert sorted(found) == ["loadtests/bench/machine.py", "omma/cores.py"]
