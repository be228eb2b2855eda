"""What looks at bytes before Omma keeps them: clamd, where one is named (OMMA_CLAMD__…)."""

import asyncio
from typing import Final, Protocol

from pydantic import Field

from omma.errors import InvalidPicture, ReplicaDown, TooLarge
from omma.settings import Section

_UNIX: Final = "unix:"
_CHUNK_BYTES: Final = 1 << 18
_ANSWER_BYTES: Final = 4_096
_ANSWERED: Final = "stream: "


class ClamdSettings(Section):
    """Where clamd listens, and how patient Omma is with it."""

    address: str = Field(
        pattern=r"^(unix:/.+|\[[0-9A-Fa-f:.]+\]:\d{1,5}|[A-Za-z0-9._-]+:\d{1,5})$",
        description="host:port, or unix:/path of its socket; its StreamMaxLength must be OMMA_PICTURES__MAX_BYTES",
    )
    seconds: float = Field(default=20.0, gt=0, le=600, description="for one file, with the wait for its turn")
    at_once: int = Field(default=8, ge=1, le=256, description="files of this process; MaxThreads is clamd's own bound")


class Scanner(Protocol):
    async def require_clean(self, content: bytes) -> None:
        """Raises InvalidPicture with the name of what was found; TooLarge; ReplicaDown while nobody can say."""


class Unscanned:
    """Nobody looks."""

    async def require_clean(self, content: bytes) -> None: ...


class Clamd:
    """A connection a file, by clamd's INSTREAM. For one event loop."""

    def __init__(self, settings: ClamdSettings) -> None:
        self._settings = settings
        self._places = asyncio.Semaphore(settings.at_once)

    async def require_clean(self, content: bytes) -> None:
        try:
            async with asyncio.timeout(self._settings.seconds), self._places:
                said = await self._scanned(content)
        except TimeoutError:
            raise ReplicaDown(f"clamd did not answer within {self._settings.seconds:g} s.") from None
        except OSError as error:
            raise ReplicaDown("clamd, which looks at every file first, cannot be reached.") from error
        found, _, verdict = said.removeprefix(_ANSWERED).rpartition(" ")
        if verdict == "FOUND":
            raise InvalidPicture(f"clamd found {found[:200]} in it.", field="image")
        if "size limit" in said:
            raise TooLarge(f"clamd looks at no file of {len(content):,} bytes: see its StreamMaxLength.", field="image")
        if said != f"{_ANSWERED}OK":
            raise ReplicaDown(f"clamd could not look at it: {said[:200] or 'no answer'}.")

    async def _scanned(self, content: bytes) -> str:
        reader, writer = await self._connect()
        try:
            writer.write(b"zINSTREAM\0")
            for begin in range(0, len(content), _CHUNK_BYTES):
                chunk = content[begin : begin + _CHUNK_BYTES]
                writer.write(len(chunk).to_bytes(4, "big") + chunk)
                await writer.drain()
            writer.write(bytes(4))
            await writer.drain()
            return _text(await reader.read(_ANSWER_BYTES))
        except ConnectionError:
            # Past its limit clamd closes, and what it said of that may be lost with the connection.
            if await self._lives():
                return "INSTREAM size limit exceeded. ERROR"
            raise
        finally:
            writer.close()

    async def _lives(self) -> bool:
        reader, writer = await self._connect()
        try:
            writer.write(b"zPING\0")
            return _text(await reader.read(_ANSWER_BYTES)) == "PONG"
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = self._settings.address
        if address.startswith(_UNIX):
            return await asyncio.open_unix_connection(address.removeprefix(_UNIX))
        host, _, port = address.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))


def _text(answer: bytes) -> str:
    return answer.rstrip(b"\0\n").decode("utf-8", "replace")
