"""What is packed is what the sources say, and they need nothing but the registry."""

import sys
import zipfile
from pathlib import Path

import pytest

from tests.web.conftest import ROOT, run

JAVASCRIPT_BYTES = 200_000
"""Gzipped, before the first search."""


def test_the_packed_page_is_of_these_sources() -> None:
    run(ROOT, sys.executable, "scripts/page", "--check")


@pytest.mark.timeout(900)
def test_unit_tests_pass_and_the_build_is_what_is_packed(web: Path) -> None:
    run(web, "npm", "test")
    run(web, "npm", "run", "build")
    built = {path.relative_to(web / "dist").as_posix(): path for path in (web / "dist").rglob("*") if path.is_file()}
    with zipfile.ZipFile(ROOT / "services/gateway/rest/page/page.zip") as packed:
        assert built.keys() == set(packed.namelist()) - {"source.sha256"}
        for name, path in built.items():
            assert path.read_bytes() == packed.read(name), name
