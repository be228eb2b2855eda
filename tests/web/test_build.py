"""What is packed is what the sources say, and they need nothing but the registry."""

import gzip
import re
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
def test_a_client_of_todays_document_fits_the_sources(web: Path) -> None:
    """A call that the server no longer has, or answers otherwise, does not compile; what came new may be unused."""
    (web / "openapi.json").write_text(run(ROOT, sys.executable, "scripts/openapi"))
    run(web, "npm", "run", "api")
    run(web, "npm", "run", "check")


@pytest.mark.timeout(900)
def test_unit_tests_pass_and_the_sources_build_to_what_is_packed(web: Path) -> None:
    run(web, "npm", "test")
    run(web, "npm", "run", "build")
    dist = web / "dist"
    built = {path.relative_to(dist).as_posix(): path.read_bytes() for path in dist.rglob("*") if path.is_file()}
    with zipfile.ZipFile(ROOT / "services/gateway/rest/page/page.zip") as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if name != "source.sha256"}
    assert sorted(built) == sorted(packed)
    assert [name for name in built if built[name] != packed[name]] == []
    scripts = re.findall(r'(?:src|href)="/ui/([^"]+[.]js)"', built["index.html"].decode())
    first = sum(len(gzip.compress(built[name])) for name in scripts)
    assert scripts and first <= JAVASCRIPT_BYTES
