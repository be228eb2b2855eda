"""docs/tutorial.md: its blocks run one after the other, and print what stands below them."""

import contextlib
import io
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest

from services.standalone.sample.canvas import COLOURS
from services.standalone.sample.catalogue import samples
from tests.conftest import ROOT
from tests.e2e.process import Folder

pytestmark = pytest.mark.timeout(600)

_BLOCK = re.compile(r"^```python\n(.*?)```\n\n```text\n(.*?)```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"\d+\.\d+")


def test_the_tutorial_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text()
    blocks = _BLOCK.findall(text)
    assert len(blocks) == text.count("```python")
    for sample in samples():
        if sample.name in text:
            sample.draw(Random(sample.seed), COLOURS[sample.colour]).finished().save(tmp_path / sample.name, quality=88)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    with Folder(tmp_path / "data").up() as server:
        monkeypatch.setenv("OMMA_URL", server.url)
        for code, printed in blocks:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(code, "docs/tutorial.md", "exec"), names)
            # A score's digits are the processor's.
            assert _NUMBER.sub("#", out.getvalue()) == _NUMBER.sub("#", printed), code
