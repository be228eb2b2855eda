"""What calls that are dropped leave in memory, at whoever asks and at whoever answers: hedges that lost are such calls.

    python -m loadtests.dropped_calls [--calls N]

Two processes: one answers a call after a millisecond with 20 kB, as a shard does; the other drops each call at about
the time of its answer, by `task.cancel()`. Once as `omma.rpc.channel.call` makes calls, once by grpc.aio alone.
"""

import argparse
import asyncio
import contextlib
import gc
import multiprocessing
import random
import sys
from collections.abc import Awaitable, Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

import grpc
import uvloop

from loadtests.bench.figures import Report
from omma.rpc.channel import call, open_channel
from omma.rpc.deadline import Deadline

ANSWER_BYTES = 20_000
ANSWER_SECONDS = 0.001
DROPPED_SECONDS = (0.0005, 0.003)
AT_ONCE = 8
WARM_UP = 1_000
SETTLE_SECONDS = 0.5
MOST_BYTES_A_CALL = 400
"""At whoever asks: less than a fiftieth of an answer. The server of grpc.aio keeps some hundred, whoever calls it."""

Asked: TypeAlias = Callable[[grpc.aio.UnaryUnaryMultiCallable], Awaitable[bytes]]


async def _ours(method: grpc.aio.UnaryUnaryMultiCallable) -> bytes:
    return await call(method, b"", Deadline.after(30), "The server")


async def _bare(method: grpc.aio.UnaryUnaryMultiCallable) -> bytes:
    return await method(b"", timeout=30)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    given = parser.parse_args()
    report = Report("dropped_calls", "python -m loadtests.dropped_calls")
    table = report.table(
        f"{given.calls:,} calls of {ANSWER_BYTES:,} bytes dropped at about the time of their answers: growth of "
        "the resident memory, MiB.",
        ["calls made by", "dropped", "who asks", "who answers"],
    )
    for name, asked in (("omma.rpc.channel", _ours), ("grpc.aio alone", _bare)):
        with _server() as (address, pid):
            dropped, asking, answering = uvloop.run(_measured(asked, address, pid, given.calls))
        table.rows.append([name, f"{dropped:,}", f"{asking / (1 << 20):+.1f}", f"{answering / (1 << 20):+.1f}"])
        if asked is _ours:
            kept = asking / max(1, dropped)
            report.target(
                "dropped_calls: bytes kept of a dropped call", f"{kept:.0f}", f"<= {MOST_BYTES_A_CALL}",
                kept <= MOST_BYTES_A_CALL,
            )  # fmt: skip
    report.save()
    return int(kept > MOST_BYTES_A_CALL)


async def _measured(asked: Asked, address: str, server: int, calls: int) -> tuple[int, int, int]:
    """Calls dropped, and the bytes that this process and the server grew by."""
    chance = random.Random(7)
    channel = open_channel(address)
    method = channel.unary_unary("/loadtests/Answer")

    async def drop_one() -> bool:
        task = asyncio.ensure_future(asked(method))
        await asyncio.sleep(chance.uniform(*DROPPED_SECONDS))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return task.cancelled()

    async def drop(count: int) -> int:
        dropped = 0
        while dropped < count:
            dropped += sum(await asyncio.gather(*[drop_one() for _ in range(AT_ONCE)]))
        await asyncio.sleep(SETTLE_SECONDS)
        gc.collect()
        return dropped

    await drop(WARM_UP)
    before = _resident_bytes("self"), _resident_bytes(server)
    dropped = await drop(calls)
    grown = _resident_bytes("self") - before[0], _resident_bytes(server) - before[1]
    await channel.close()
    return dropped, *grown


@contextlib.contextmanager
def _server() -> Iterator[tuple[str, int]]:
    """A process that answers; its address and its pid."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        yield f"127.0.0.1:{here.recv()}", process.pid or 0
    finally:
        process.kill()
        process.join()


def _serve(told: Connection) -> None:
    async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await asyncio.sleep(ANSWER_SECONDS)
        return bytes(ANSWER_BYTES)

    async def serve() -> None:
        server = grpc.aio.server()
        handlers = {"Answer": grpc.unary_unary_rpc_method_handler(answer)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("loadtests", handlers),))
        told.send(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        await server.wait_for_termination()

    uvloop.run(serve())


def _resident_bytes(pid: int | str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) << 10


if __name__ == "__main__":
    sys.exit(main())
