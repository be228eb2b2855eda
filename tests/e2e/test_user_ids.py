"""A user_id leads from a search to its click and is nowhere on the disk, unless the server is told to keep it."""

from pathlib import Path
from typing import Literal

import httpx
import pytest

from omma.identity import DEFAULT_TENANT, Tenant
from omma.records import Interaction, InteractionType
from services.gateway.search.pseudonyms import pseudonyms
from services.standalone.app import Omma
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.pictures import encoded, scene
from tests.waiting import eventually

USER = "zoe.ann-marie@people.example"


def test_a_pseudonym_is_of_its_user_tenant_and_secret() -> None:
    one, other = pseudonyms(b"1" * 32), pseudonyms(b"2" * 32)
    ann, bob = Tenant("ann"), Tenant("bob")
    assert one(ann, USER) == one(ann, USER) and USER not in one(ann, USER)
    kept = {name(tenant, user) for name in (one, other) for tenant in (ann, bob) for user in (USER, "u", "\ud800")}
    assert len(kept) == 12
    assert one(ann, "") == ""


@pytest.mark.parametrize("kept", ["hashed", "plain"])
async def test_interactions_keep_a_user_as_the_setting_says(tmp_path: Path, kept: Literal["hashed", "plain"]) -> None:
    settings = StandaloneSettings(data_dir=tmp_path / "data", http_port=0, grpc_port=0, gateway={"user_ids": kept})
    async with serving(settings) as (omma, address), httpx.AsyncClient(base_url=address.url, timeout=60) as rest:
        made = await rest.post("/images", files={"image": ("a.png", encoded(scene()))})
        query = {"text": "a picture", "user_id": USER, "receipts": [made.json()["receipt"]], "timeout_ms": 60_000}
        found = (await rest.post("/search", json={**query, "k": 1, "near_duplicates": "keep"})).json()
        click = {"user_id": USER, "displayed_image_id": made.json()["id"], "rank": 1, "query_id": found["query_id"]}
        assert (await rest.post("/click", json=click)).status_code == 204
        rows = await recorded(omma, 2 if found["results"] else 1)
    assert len({one.user_id for one in rows}) == 1
    assert (rows[0].user_id == USER) is (kept == "plain")
    assert (USER.encode() in bytes_under(tmp_path)) is (kept == "plain")


def bytes_under(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


async def recorded(omma: Omma, count: int) -> list[Interaction]:
    """The interactions in the catalog, once there are so many."""
    catalog = omma.services.storage.catalog

    async def looked() -> list[Interaction] | None:
        rows = [one async for one in catalog.interactions(DEFAULT_TENANT, 0, 2**53)]
        return rows if len(rows) >= count else None

    rows = await eventually(looked, 60) or []
    assert InteractionType.CLICK in {one.type for one in rows}
    return rows
