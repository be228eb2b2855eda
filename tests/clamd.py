"""A small server that speaks clamd's INSTREAM, and finds what the world agreed to call a virus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

# Written in two, so that no scanner takes this file for one.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


@dataclass
class Scanned:
    """What came. limit: StreamMaxLength."""

    address: str = ""
    limit: int = 1 << 24
    seen: list[bytes] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(await self._said(reader) + b"\0")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _said(self, reader: asyncio.StreamReader) -> bytes:
        if (command := await reader.readuntil(b"\0")) != b"zINSTREAM\0":
            return b"PONG" if command == b"zPING\0" else b"UNKNOWN COMMAND"
        content = bytearray()
        while size := int.from_bytes(await reader.readexactly(4), "big"):
            content += await reader.readexactly(size)
            if len(content) > self.limit:
                return b"INSTREAM size limit exceeded. ERROR"
        self.seen.append(bytes(content))
        return b"stream: Eicar-Test-Signature FOUND" if EICAR in content else b"stream: OK"


@asynccontextmanager
async def clamd(path: str = "") -> AsyncIterator[Scanned]:
    """path: of a socket; "" listens on 127.0.0.1."""
    scanned = Scanned()
    if path:
        server = await asyncio.start_unix_server(scanned.answer, path)
        scanned.address = f"unix:{path}"
    else:
        server = await asyncio.start_server(scanned.answer, "127.0.0.1", 0)
        scanned.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield scanned
