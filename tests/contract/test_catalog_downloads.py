"""What every catalog keeps of lists' lines."""

from omma.catalog.download import Download, Taken
from omma.catalog.interface import Catalog
from omma.identity import Sha256
from tests.contract.catalogs import ANN, BOB

TAKEN = Download("b", "http://x/b", "run", Taken.CREATED, "", 200, 31, 9, "image/png", Sha256("a" * 64))
FAILED = Download("a", "http://x/a", "run", "too_slow", "It did not come in time.")


async def test_what_came_of_a_line_is_kept_until_another_run_looks_again(catalog: Catalog) -> None:
    await catalog.record_downloads(ANN, [TAKEN, FAILED])
    assert await catalog.downloads(ANN, ["a", "b", "c"]) == {"a": FAILED, "b": TAKEN}
    assert await catalog.downloads(BOB, ["a", "b"]) == {}
    assert await catalog.count_downloads(ANN, "run") == {"created": 1, "too_slow": 1}
    assert await catalog.downloads_of_run(ANN, "run", "", 10) == [FAILED, TAKEN]
    assert await catalog.downloads_of_run(ANN, "run", "a", 10) == [TAKEN]
    assert await catalog.downloads_of_run(ANN, "run", "", 10, failed=True) == [FAILED]
    assert await catalog.downloads_of_run(BOB, "run", "", 10) == []

    again = Download("a", "http://x/a", "later", Taken.UNCHANGED, sha256=Sha256("b" * 64))
    await catalog.record_downloads(ANN, [again])
    await catalog.record_downloads(ANN, [])
    assert await catalog.downloads(ANN, ["a"]) == {"a": again}
    assert await catalog.count_downloads(ANN, "run") == {"created": 1}
