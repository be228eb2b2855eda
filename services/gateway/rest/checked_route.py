"""What FastAPI would pass over in a request: another kind of body, other encodings, a parameter that nobody reads."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from services.gateway.rest.body import read_json
from services.gateway.rest.bounds import has_body
from services.gateway.rest.fields import require_known, single

_MAX_VALUES: Final = 500_000
"""Of a body: more than the longest list that a route takes has."""


def take_json(app: FastAPI, max_bytes: int) -> None:
    """Tell an app how long a JSON body of its checked routes may be: it goes before the first request."""
    app.state.max_json_bytes = max_bytes


class CheckedRoute(APIRoute):
    """A route whose parameters or body are declared to FastAPI, held to what every other route holds to.

    Its app has been told to `take_json`. What it depends on takes the request and nothing else, and goes first: who may
    not ask is told so alone.

    Raises what these raise, InvalidQuery for a parameter that is not declared or stands twice, and as read_json.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        known = {one.alias for one in self.dependant.query_params}
        takes_body = self.body_field is not None
        signs_in = [one.call for one in self.dependant.dependencies if one.call is not None]

        async def checked(request: Request) -> Response:
            for sign_in in signs_in:
                await sign_in(request)
            params = request.query_params
            if known:
                require_known(params, known)
                single({name: params.getlist(name) for name in params}, ())
            if takes_body and has_body(request.scope):
                most = request.app.state.max_json_bytes
                sent = await read_json(request, most, _MAX_VALUES, parameters=known)
                return await handle(_ReadRequest(request, sent))
            return await handle(request)

        return checked


class _ReadRequest(Request):
    """The same request, whose JSON has been read."""

    def __init__(self, request: Request, sent: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._sent = sent

    async def body(self) -> bytes:
        return b"{}"  # FastAPI asks whether there is one

    async def json(self) -> Any:
        return self._sent
