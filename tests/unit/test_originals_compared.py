"""What a comparison says of originals that no row needs any more."""

from pathlib import Path

from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.catalog.picture import NewPicture
from omma.catalog.sqlite import open_sqlite_catalog
from omma.identity import DEFAULT_TENANT
from services.worker.truth.differences import DifferenceKind
from services.worker.truth.originals import OriginalsComparison
from services.worker.truth.report import Report
from tests.clock import Clock

GRACE, HOUR = 86_400.0, 3_600.0


async def test_what_is_being_erased_is_no_difference_until_it_should_be_gone(tmp_path: Path) -> None:
    clock = Clock()
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db", clock=clock)
    blobs = await FolderBlobs.open(tmp_path / "blobs")
    sha256, uri = await Originals(blobs).put(b"a picture")
    (made,) = await catalog.upsert(DEFAULT_TENANT, [NewPicture(key="one", sha256=sha256, uri=uri, bytes=9)])
    await catalog.erase(DEFAULT_TENANT, [made.id])

    async def compared() -> tuple[int, int]:
        report = Report("index", buckets=256)
        await OriginalsComparison(catalog, blobs, GRACE, report).run("", lambda _: None)
        return report.waiting, report.counts[DifferenceKind.BLOB_WITHOUT_ROW]

    assert await compared() == (1, 0)
    clock.seconds += HOUR
    assert await compared() == (0, 1)
    await blobs.close()
    await catalog.close()
