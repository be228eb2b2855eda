"""A catalog of each kind, and pictures for it."""

import hashlib
from typing import Final

import pytest

from omma.catalog.interface import Catalog
from omma.catalog.picture import Embedded, NewPicture, Upserted
from omma.identity import Sha256, Tenant
from omma.index import Index, IndexId, IndexState
from omma.records import EventKind
from omma.space import Space, SpaceId
from tests.contract.reopened import Reopened

ANN, BOB = Tenant("ann"), Tenant("bob")
SPACE = Space(SpaceId("mini-1-abcdef01"), "mini", "f" * 64, 256)
INDEX = Index(IndexId("mini-1-abcdef01.1"), SPACE.id, "Flat", 1, IndexState.BUILDING)

SIGNATURE = b"\x01\x00\xff"

AFTER_A_ROLLOUT: Final = "after a rollout"
ALSO_AFTER_A_ROLLOUT: Final = pytest.mark.parametrize("backend", ["sqlite", "postgres", AFTER_A_ROLLOUT], indirect=True)
"""Of what is said of rows: INDEX, and SPACE with it, may be live by a rollout, with the former one in standby."""


Backend = Reopened[Catalog]


def sha(content: str) -> Sha256:
    return Sha256(hashlib.sha256(content.encode()).hexdigest())


def new(key: str, content: str = "") -> NewPicture:
    return NewPicture(key=key, sha256=sha(content or key), uri=f"omma:{sha(content or key)}", bytes=10)


async def one(catalog: Catalog, picture: NewPicture, tenant: Tenant = ANN) -> Upserted:
    (answer,) = await catalog.upsert(tenant, [picture])
    return answer


def kind(answer: Upserted) -> EventKind | None:
    if answer.event is not None:
        assert (answer.event.image_id, answer.event.version) == (answer.id, answer.version)
    return answer.event and answer.event.kind


async def sent(catalog: Catalog, *answers: Upserted) -> None:
    await catalog.mark_sent([answer.event for answer in answers if answer.event is not None])


async def embedded(catalog: Catalog, *answers: Upserted, space: str = SPACE.id) -> None:
    await catalog.record_embedded(space, [Embedded(a.id, a.version, 640, 480, 2**64 - 1, SIGNATURE) for a in answers])
