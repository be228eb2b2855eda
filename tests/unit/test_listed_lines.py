"""No line of a list, whatever it is, ends or holds up the job: it is taken in, or it alone fails with its reason."""

import asyncio
import errno
import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omma.blobs.interface import Blobs
from omma.blobs.objects import ObjectLook, Objects
from omma.blobs.s3_objects import S3Objects
from omma.blobs.s3_settings import S3Settings
from omma.catalog.download import Download
from omma.catalog.interface import Catalog
from omma.description import RowLimits
from omma.errors import OmmaError, Overloaded, ReplicaDown
from omma.fetching import Fetcher
from omma.identity import DEFAULT_TENANT, Sha256, Tenant
from omma.images import PictureLimits, media_type
from omma.job_kinds import ListParameters
from omma.outbox import open_outbox
from omma.picture_list import list_key
from omma.storage import StorageSettings, open_storage
from services.worker.jobs.progress import Progress
from services.worker.lists.ingest import ListIngest
from services.worker.lists.places import Places
from services.worker.lists.settings import UrlSettings
from tests.pictures import encoded, scene

SETTINGS = UrlSettings(tries=2, wait_seconds=0.01, seconds=2.0)
PICTURE = encoded(scene(48, 32, seed=1))
TAKEN = {"created", "changed", "unchanged"}
RUN = "run"


@dataclass
class Lists:
    """Ingest of lists on a folder's parts. The web, if it is asked, has nothing."""

    catalog: Catalog
    blobs: Blobs
    ingest: ListIngest
    folder: Path

    async def run(self, content: bytes) -> list[Download]:
        """What came of each line."""
        await self.blobs.put(list_key(DEFAULT_TENANT, "0" * 64), content)
        async with asyncio.timeout(60):
            await self.ingest.run("0" * 64, DEFAULT_TENANT, RUN, ListParameters(), Progress())
        return await self.catalog.downloads_of_run(DEFAULT_TENANT, RUN, "", 10_000)


@asynccontextmanager
async def lists_in(folder: Path, objects: Objects | None = None) -> AsyncIterator[Lists]:
    async with AsyncExitStack() as stack:
        storage = await open_storage(StorageSettings(data_dir=folder), stack)
        limits = PictureLimits(max_bytes=1_000_000)

        async def nothing(host: str, port: int) -> tuple[str, ...]:
            return ("1.1.1.1",)

        def places(tenant: Tenant) -> Places:
            transport = httpx.MockTransport(lambda _: httpx.Response(404))
            fetcher = Fetcher(max_bytes=1_000_000, judge=media_type, resolve=nothing, transport=transport)
            return Places(fetcher, storage.blobs, objects, tenant, limits=limits, settings=SETTINGS)

        async def none_waiting() -> int:
            return 0

        async def indexed() -> None:
            pass

        ingest = ListIngest(
            storage.catalog,
            storage.blobs,
            storage.originals,
            await open_outbox(storage.catalog, storage.log),
            places=places,
            row_limits=RowLimits(),
            backlog=none_waiting,
            indexed=indexed,
            max_backlog=9,
            urls=SETTINGS,
            holder="one",
            lease_seconds=60.0,
        )
        yield Lists(storage.catalog, storage.blobs, ingest, folder)


@pytest.fixture
async def lists(tmp_path: Path) -> AsyncIterator[Lists]:
    async with lists_in(tmp_path) as made:
        yield made


async def test_what_is_no_file_or_cannot_be_read_fails_alone(lists: Lists) -> None:
    """Each kind of thing that a path may name, beside one sound picture."""
    folder = lists.folder
    (folder / "sound.jpg").write_bytes(PICTURE)
    (folder / "folder").mkdir()
    (folder / "loop").symlink_to("loop")
    (folder / "nowhere").symlink_to("missing")
    (folder / "text").write_text("no picture")
    (folder / "empty").touch()
    (folder / "large").write_bytes(b"x" * 1_000_001)
    os.mkfifo(folder / "pipe")
    named = [
        "folder",
        "loop",
        "nowhere",
        "text",
        "empty",
        "large",
        "pipe",
        "missing",
        "text/below",
        "x" * 300,
        "socket",
    ]
    places = [(folder / name).as_uri() for name in named]
    places += [f"file://{path}" for path in ("/dev/zero", "/dev/null", "/dev/tty", "/proc/self/mem", "/", "", "/%00")]
    places += [f"file://{folder}/caf%E9.jpg", f"file://{folder}/{'d/' * 900}", "file://elsewhere/a", "file:///a?b#c"]
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        ended = await lists.run("\n".join([*places, (folder / "sound.jpg").as_uri()]).encode())
    assert [one.outcome for one in ended if one.place.endswith("sound.jpg")] == ["created"]
    failed = {one.place: one for one in ended if one.outcome not in TAKEN}
    assert failed.keys() == set(places)
    assert all(one.reason and one.outcome not in ("bug", "wrong_line") for one in failed.values())
    assert "Input/output error" in failed["file:///proc/self/mem"].reason


async def test_whatever_the_system_says_of_a_file_is_its_own_lines(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_no_file = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
    numbers = errno.errorcode.keys() - of_no_file
    (lists.folder / "sound.jpg").write_bytes(PICTURE)
    stat = os.stat

    def failing(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
        number = os.fsencode(path).rpartition(b"/error-")[2] if isinstance(path, bytes) else b""
        if number.isdigit():
            raise OSError(int(number), os.strerror(int(number)))
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", failing)
    ended = await lists.run(
        "\n".join(
            f"{lists.folder}/{name}" for name in [*(f"error-{number}" for number in numbers), "sound.jpg"]
        ).encode()
    )
    assert [one.place.rpartition("/")[2] for one in ended if one.outcome in TAKEN] == ["sound.jpg"]
    assert len(ended) == len(numbers) + 1 and all(one.reason for one in ended if one.outcome not in TAKEN)


DOWN = ReplicaDown("The object storage fails; try again.")


class OneFails(S3Objects):
    """Of a storage that has every object, and gives all but one."""

    def __init__(self, fault: OmmaError = DOWN) -> None:
        self.fault = fault
        super().__init__(S3Settings(bucket="own", access_key="a", secret_key="b"))

    async def look(self, bucket: str, key: str, max_bytes: int) -> ObjectLook:
        if key == "fails.jpg":
            raise self.fault
        return ObjectLook(len(PICTURE), "e", Sha256(sha256(key.encode()).hexdigest()))


@pytest.mark.parametrize("fault", [DOWN, Overloaded("The object storage asks for less; try again.")])
async def test_an_object_that_the_storage_never_gives_fails_alone(tmp_path: Path, fault: OmmaError) -> None:
    objects = OneFails(fault)
    async with lists_in(tmp_path, objects) as lists:
        ended = await lists.run(b"s3://b/1.jpg\ns3://b/fails.jpg\ns3://b/2.jpg\n")
    await objects.close()
    told = {one.place: (one.outcome, one.reason) for one in ended}
    assert told.pop("s3://b/fails.jpg") == ("unreadable", fault.detail)
    assert {outcome for outcome, _ in told.values()} <= TAKEN and len(told) == 2


async def test_while_the_blobs_are_away_no_line_is_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> int:
        raise ReplicaDown("The object storage does not answer; try again.")

    objects = OneFails()
    async with lists_in(tmp_path, objects) as lists:
        monkeypatch.setattr(lists.blobs, "size", away)
        with pytest.raises(ReplicaDown, match="does not answer"):
            await lists.run(b"s3://b/fails.jpg\n")
        assert not await lists.catalog.downloads_of_run(DEFAULT_TENANT, RUN, "", 10, failed=True)
        monkeypatch.undo()
        assert [one.outcome for one in await lists.run(b"s3://b/fails.jpg\n")] == ["unreadable"]
    await objects.close()


def descriptions() -> st.SearchStrategy[bytes]:
    """Lines that describe a sound or a missing picture in every way JSON has."""
    scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9))
    values = st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
    )
    names = st.sampled_from(
        ["external_id", "owner", "tags", "source_url", "attributes", "private", "caption", "captions"]
    )
    said = st.dictionaries(names, values | st.text("\U00020000\u2028é", min_size=900, max_size=1_100), max_size=3)
    return st.builds(lambda name, said: json.dumps({"path": f"/FOLDER/{name}", **said}).encode(), ODD_PATHS, said)


ODD_PATHS = st.one_of(st.just("sound.jpg"), st.text(max_size=30))
ODD_TEXT = st.text(
    st.sampled_from("/%00FfEe9.:@[]?#&=~ \\\"'{}éß\u0130\u2028\U0001f600abx-_") | st.characters(), max_size=40
)
LINES = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda scheme, rest: f"{scheme}{rest}".encode("utf-8", "replace"), st.sampled_from(
        ["file://", "file:///", "file:", "/", "http://", "https://x.org/", "http://x.org:", "s3://", "s3://bucket/",
         "s3://arn:aws:s3:", "upload:", "/FOLDER/", "file:///FOLDER/", "/proc/self/", "/dev/"]), ODD_TEXT),
    descriptions(),
)  # fmt: skip


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """Where an object storage answers that has nothing."""

    class Nothing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            answer = b"<Error><Code>NoSuchKey</Code></Error>"
            self.send_response(404)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@given(st.lists(LINES, max_size=60))
@settings(max_examples=25)
def test_no_line_whatever_it_is_ends_or_holds_up_the_job(storage: str, drawn: list[bytes]) -> None:
    async def ingest(folder: Path) -> list[Download]:
        objects = S3Objects(S3Settings(bucket="own", endpoint=storage, access_key="a", secret_key="b"))
        try:
            async with lists_in(folder, objects) as lists:
                (folder / "sound.jpg").write_bytes(PICTURE)
                lines = [one.replace(b"/FOLDER", os.fsencode(folder)) for one in [*drawn, b"/FOLDER/sound.jpg"]]
                return await lists.run(b"\n".join(lines))
        finally:
            await objects.close()

    with tempfile.TemporaryDirectory() as folder:
        ended = asyncio.run(ingest(Path(folder)))
    assert any(one.outcome in TAKEN for one in ended)
    assert all(one.outcome in TAKEN or one.reason for one in ended)
    assert [(one.place, one.reason) for one in ended if one.outcome == "bug"] == []
