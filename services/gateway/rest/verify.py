"""POST /verify: compare blobs, catalog, log and shards."""

from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from services.gateway.rest.signed_in import SignedIn
from services.worker.truth import Verifier


class VerifyRequest(BaseModel):
    """repair: mend what can be. full: compare every picture, also where digests agree."""

    model_config = ConfigDict(extra="forbid")

    repair: bool = False
    full: bool = False


def verify_router(verifier: Verifier, admin: SignedIn) -> APIRouter:
    """Of every tenant: an admin runs the whole Omma."""
    router = APIRouter(tags=["operation"], dependencies=[Depends(admin)])

    @router.post("/verify", summary="Compare blobs, catalog, log and shards")
    async def verify(request: VerifyRequest) -> dict[str, Any]:
        """Answers when everything is compared, which takes as long as reading the catalog; one at a time."""
        return (await verifier.verify(repair=request.repair, full=request.full)).document()

    return router
