"""/vectors: pictures with their vectors, and vectors that callers bring."""

import base64
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from omma.catalog.job import Job
from omma.errors import InvalidQuery
from omma.filters import parse_filter
from omma.images import PictureLimits
from omma.rpc.deadline import Deadline
from omma.vector_list import said_of_ids, said_of_lines, vectors_of_npy
from services.gateway.callers.auth import Caller
from services.gateway.pictures.vectors import MAX_VECTORS, Vectors
from services.gateway.rest.answers import JsonResponse, picture_document
from services.gateway.rest.body import FormLimits, is_json, read_form, read_json
from services.gateway.rest.fields import as_integer, as_object, as_switch, as_text, as_truth, require_known, single
from services.gateway.rest.schemas import pictures as shapes
from services.gateway.rest.schemas import vectors as given_shapes
from services.gateway.rest.signed_in import SignedIn
from services.gateway.settings import GatewaySettings
from services.gateway.vector_lists import VectorLists

_FIELDS: Final = frozenset({"filter", "cursor", "limit", "index"})
_OPTIONS: Final = frozenset({"space", "revive_deleted"})
_FILES: Final = frozenset({"vectors", "ids", "items"})
_SECONDS: Final = 20.0
MAX_VALUES: Final = 400_000
"""Of a body in JSON."""


def vectors_router(
    vectors: Vectors, lists: VectorLists, tenant_admin: SignedIn, settings: GatewaySettings, limits: PictureLimits
) -> APIRouter:
    """limits: each file of a list has as many bytes as a picture may have."""
    router = APIRouter(tags=["operation"])
    form_limits = FormLimits(_OPTIONS | _FILES, _FILES, limits.max_bytes)

    @router.get("/vectors", **shapes.VECTORS)
    async def page(request: Request, caller: Annotated[Caller, Depends(tenant_admin)]) -> Response:
        """Rows by id, each with the vector of its whole picture: float32, little-endian, base64."""
        params = request.query_params
        require_known(params, _FIELDS)
        given = single({name: params.getlist(name) for name in params}, ())
        limit = as_integer(given.get("limit") or MAX_VECTORS, "limit")
        asked, index = parse_filter(given.get("filter")), given.get("index") or ""
        deadline = Deadline.after(_SECONDS)
        found = await vectors.page(caller.tenant, asked, given.get("cursor") or None, limit, deadline, index=index)
        space = found.served.space
        images = [
            {**picture_document(picture), "vector": base64.b64encode(vector.astype("<f4").tobytes()).decode()}
            for picture, vector in found.pictures
        ]
        stamps = {
            "model": space.model,
            "space": space.id,
            "checksum": space.signature,
            "dim": space.dim,
            "index": found.served.index.id,
        }
        following = {"next_cursor": found.cursor} if found.cursor else {}
        return JsonResponse({**stamps, "images": images, **following})

    @router.post("/vectors", **given_shapes.GIVE)
    async def give(request: Request, caller: Annotated[Caller, Depends(tenant_admin)]) -> Response:
        """The list's job: it goes on where the last one was broken off. A list with a wrong row changes nothing."""
        if is_json(request):
            body = as_object(await read_json(request, settings.max_json_bytes, MAX_VALUES))
            job = await ingest_json(lists, caller, body)
        else:
            form = await read_form(request, form_limits)
            said = single(form.fields, ())
            if "vectors" not in form.files:
                raise InvalidQuery("Send a .npy file `vectors`, or JSON with `vectors`.", field="vectors")
            if ("ids" in form.files) == ("items" in form.files):
                raise InvalidQuery("Send a file `ids`, an id a line, or `items`, a JSON object a line.", field="ids")
            rows = said_of_ids(form.files["ids"]) if "ids" in form.files else said_of_lines(form.files["items"])
            found = vectors_of_npy(form.files["vectors"])
            revive = as_truth(said.get("revive_deleted") or False, "revive_deleted")
            job = await lists.ingest(caller, said.get("space", ""), found, rows, revive_deleted=revive)
        return JsonResponse({"job_id": job.id}, 202)

    return router


async def ingest_json(lists: VectorLists, caller: Caller, body: dict[str, object]) -> Job:
    """Of `vectors`, `space` and `revive_deleted`. Raises as VectorLists.ingest."""
    require_known(body, _OPTIONS | {"vectors"})
    space = as_text("" if body.get("space") is None else body["space"], "space")
    revive = as_switch(body.get("revive_deleted"), "revive_deleted")
    rows = body.get("vectors")
    if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
        raise InvalidQuery("vectors must be a list of objects, each with an id and a vector.", field="vectors")
    return await lists.ingest_rows(caller, space, rows, revive_deleted=revive)
