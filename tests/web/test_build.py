"""What is packed is what the sources say, and they need nothing but the registry."""

import gzip
import re
import sys
from pathlib import Path

import pytest

from tests.web.conftest import ROOT, run

JAVASCRIPT_BYTES = 200_000
"""Gzipped, before the first search."""


def test_the_packed_page_is_of_these_sources() -> None:
    run(ROOT, sys.executable, "scripts/page", "--check")


@pytest.mark.timeout(900)
def test_unit_tests_pass_and_the_sources_build(web: Path) -> None:
    run(web, "npm", "test")
    run(web, "npm", "run", "build")
    scripts = re.findall(r'src="/ui/(assets/[^"]+)"', (web / "dist/index.html").read_text())
    first = sum(len(gzip.compress((web / "dist" / name).read_bytes())) for name in scripts)
    assert scripts and first <= JAVASCRIPT_BYTES
