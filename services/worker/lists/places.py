"""The picture that a line of a list names: downloaded, or looked at where it stays."""

import asyncio
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from omma.blobs.interface import Blobs, original_key
from omma.blobs.object_uri import place_of
from omma.blobs.objects import Objects
from omma.blobs.originals import path_of, read_file, sha256_of, uri_of
from omma.blocking import BlockingCalls
from omma.errors import STATUS, TOLD_OF_A_BUG, Absent, Kind, OmmaError, Overloaded, ReplicaDown, TooLarge
from omma.fetching import Fetched, Fetcher, Unfetched, Why
from omma.fetching.fetcher import host_of, plain_url
from omma.identity import Sha256, Tenant
from omma.images import PictureLimits, verify
from omma.picture_list import Listed
from omma.uploads import SCHEME, upload_key, upload_of
from services.worker.ingest.follower import stamp_of
from services.worker.lists.hosts import GivenUp, Host, may_pass
from services.worker.lists.settings import UrlSettings

_FILE_SECONDS: Final = 60.0
_CHECKS_AT_ONCE: Final = 2
_FILES_AT_ONCE: Final = 4
_HUNG: Final = 16
_MAX_HOSTS: Final = 4_096
_LONGEST_WAIT_SECONDS: Final = 60.0
_ANY_KEY: Final = original_key(Sha256("0" * 64))
"""Which need not be there: whether the blobs answer."""
_OF_STORAGE: Final = (ReplicaDown, Overloaded)

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Refused(Exception):
    """name: of the failure, as it is counted. reason: a sentence. status: of HTTP, 0 for none."""

    def __init__(self, name: str, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.name = name
        self.reason = reason
        self.status = status


@dataclass(frozen=True, slots=True)
class Found:
    """uri: where the original lies. size: bytes. content: of a download, to be kept; None: it stays where it is.

    mtime_ns: as NewPicture has it. latency_ms: of the last try.
    """

    sha256: Sha256
    uri: str
    size: int
    content: bytes | None = None
    mtime_ns: int | None = None
    status: int = 0
    media_type: str = ""
    latency_ms: int = 0


class Places:
    """Looks lines up, within the bounds of hosts, sizes and times. For one list, on one event loop; close it."""

    def __init__(
        self,
        fetcher: Fetcher,
        blobs: Blobs,
        objects: Objects | None,
        tenant: Tenant,
        *,
        limits: PictureLimits,
        settings: UrlSettings,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """fetcher: closed with this. blobs: where uploads of the tenant are. objects: None: there are none."""
        self._fetcher = fetcher
        self._blobs = blobs
        self._tenant = tenant
        self._objects = objects
        self._limits = limits
        self._settings = settings
        self._now = now
        self._sleep = sleep
        self._hosts: OrderedDict[str, Host] = OrderedDict()
        self._checks = BlockingCalls("omma-lists", at_once=_CHECKS_AT_ONCE, left_behind=_HUNG)
        self._files = BlockingCalls("omma-listed-files", at_once=_FILES_AT_ONCE, left_behind=_HUNG)

    async def find(self, line: Listed) -> Found:
        """Raises Refused: what is wrong with the picture; OmmaError: with this machine, all may be tried again.

        A bug is its line's alone, too: no line ends or holds up the others.
        """
        try:
            if line.scheme == "file":
                return await self._file(line.place)
            if line.scheme == SCHEME:
                return await self._upload(line.place)
            if line.scheme == "s3":
                return await self._object(line.place)
            return await self._download(line.place)
        except OmmaError as error:
            if STATUS[error.kind].retry:
                raise
            raise Refused(error.kind, error.detail) from error
        except Refused:
            raise
        except Exception as error:
            logger.exception("a line of a list failed", extra={"place": line.place})
            raise Refused(Kind.BUG, TOLD_OF_A_BUG) from error

    async def close(self) -> None:
        await self._fetcher.close()

    async def _download(self, url: str) -> Found:
        parsed = plain_url(url)
        if parsed is None:
            raise Refused(Why.UNFIT_ADDRESS, "The address must be a plain http or https URL, without a user.")
        host = self._host(f"{host_of(parsed)}:{parsed.port or parsed.scheme}")
        failure: Unfetched | None = None
        for tried in range(self._settings.tries):
            if failure is not None:
                await self._sleep(max(self._pause(tried), min(failure.wait_seconds, _LONGEST_WAIT_SECONDS)))
            began = self._now()
            try:
                fetched = await host.ask(lambda: self._fetcher.fetch(url, self._settings.seconds))
            except GivenUp:
                if failure is None:
                    raise Refused("host_given_up", "Its host failed too often in a row; it was not tried.") from None
                break
            except Unfetched as error:
                failure = error
                if not may_pass(error):
                    break
            else:
                return await self._checked(fetched, int((self._now() - began) * 1000))
        if failure is None:  # tries is 1 or more
            raise AssertionError(url)
        raise Refused(_name(failure), failure.detail, failure.status)

    def _pause(self, tried: int) -> float:
        doubled: float = self._settings.wait_seconds * 2 ** (tried - 1) * random.uniform(0.5, 1.5)
        return min(doubled, _LONGEST_WAIT_SECONDS)

    async def _checked(self, fetched: Fetched, latency_ms: int) -> Found:
        content = fetched.content
        sha256 = await self._checks.run(None, self._verified, content)
        return Found(
            sha256,
            uri_of(sha256),
            len(content),
            content,
            status=200,
            media_type=fetched.media_type,
            latency_ms=latency_ms,
        )

    def _verified(self, content: bytes) -> Sha256:
        verify(content, self._limits)
        return sha256_of(content)

    async def _file(self, uri: str) -> Found:
        path = path_of(uri)
        content, status = await self._alone(
            lambda: self._files.run(_FILE_SECONDS, read_file, path, self._limits.max_bytes)
        )
        sha256 = await self._checks.run(None, self._verified, content)
        return Found(sha256, uri, status.st_size, mtime_ns=status.st_mtime_ns)

    async def _alone(self, read: Callable[[], Awaitable[T]], faults: tuple[type[OmmaError], ...] = (ReplicaDown,)) -> T:
        """What it reads. A fault that lasts is told of this line alone, by Refused, where the blobs answer: it may be
        its disk's or its bucket's. Where they do not, nothing could be kept: raises ReplicaDown, Overloaded.

        faults: errors that stand for such a fault, and not for this machine's.
        """
        tried = 0
        while True:
            try:
                return await read()
            except faults as error:
                tried += 1
                if tried == self._settings.tries:
                    await self._blobs.size(_ANY_KEY)
                    raise Refused("unreadable", error.detail) from error
            await self._sleep(self._pause(tried))

    async def _upload(self, place: str) -> Found:
        key = upload_key(self._tenant, upload_of(place))
        content = await self._alone(lambda: self._blobs.get(key, self._limits.max_bytes), _OF_STORAGE)
        sha256 = await self._checks.run(None, self._verified, content)
        return Found(sha256, uri_of(sha256), len(content), content)

    async def _object(self, uri: str) -> Found:
        objects = self._objects
        if objects is None:
            raise Refused("no_object_storage", "This Omma has no object storage (OMMA_S3__BUCKET).")
        bucket, key = place_of(uri)
        look = await self._alone(lambda: objects.look(bucket, key, self._limits.max_bytes), _OF_STORAGE)
        if look is None:
            raise Absent("There is no such object.", field="uri")
        if look.sha256 is None:
            limit = self._limits.max_bytes
            raise TooLarge(f"The picture has more than {limit:,} bytes.", field="uri", limit=limit)
        return Found(look.sha256, uri, look.bytes, mtime_ns=stamp_of(look.etag))

    def _host(self, name: str) -> Host:
        """Of many hosts the one that was asked for longest ago is forgotten."""
        host = self._hosts.pop(name, None) or Host(self._settings, self._now, self._sleep)
        self._hosts[name] = host
        if len(self._hosts) > _MAX_HOSTS:
            self._hosts.popitem(last=False)
        return host


def _name(failure: Unfetched) -> str:
    return f"http_{failure.status}" if failure.why is Why.STATUS else failure.why.value
