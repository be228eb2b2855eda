"""The request id: travels with a request through tasks, executors, RPCs and the log, into every log line and span."""

import asyncio
import contextvars
import os
import re
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_LEGAL: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_bound: contextvars.ContextVar[str] = contextvars.ContextVar("omma_request_id", default="")


def request_id() -> str:
    """The id bound in this context; empty outside a request."""
    return _bound.get()


def new_request_id() -> str:
    """32 hex characters, random."""
    return os.urandom(16).hex()


def accepted_request_id(given: str | None) -> str:
    """The caller's own id when it is 1 to 128 of [A-Za-z0-9._:-], else a new one: an id is printed and sent on."""
    return given if given and _LEGAL.fullmatch(given) else new_request_id()


class bind_request_id:  # noqa: N801  used as a call or as a context manager, like contextlib.suppress
    """Bind an id in the current context from now on; as a context manager, until its end."""

    __slots__ = ("_token",)

    def __init__(self, request_id: str) -> None:
        self._token = _bound.set(request_id)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        _bound.reset(self._token)


async def run_in(executor: Executor | None, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function on an executor with this context: request id, span and stage times go with it.

    executor: None is the loop's default. loop.run_in_executor alone would start from an empty context.
    """
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, lambda: context.run(function, *args, **kwargs))
