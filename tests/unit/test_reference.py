"""Pages that are written from the code, or that name all of something, are of this code."""

import subprocess
import sys

from omma.errors import Kind
from tests.conftest import ROOT


def test_settings_and_metrics_are_described_as_they_are() -> None:
    command = [sys.executable, ROOT / "scripts" / "reference", "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_troubleshooting_names_every_kind_of_error() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    assert [kind.value for kind in Kind if f"`{kind.value}`" not in page] == []
