"""A private picture is its owner's and the administrators': every entrance that shows or finds a picture is walked
through, each with who sees it and who does not.
"""

import grpc
import pytest

from omma.catalog.api_key import Role
from omma.v1 import search_pb2
from tests.e2e.private_looks import (
    ADMIN,
    ELSEWHERE,
    HIDDEN,
    LOOKS,
    PEOPLE,
    PICTURES,
    SEES,
    World,
    code_of,
    ids_in,
    looking,
    world,
)
from tests.e2e.roles import ROUTES, RPCS
from tests.pictures import encoded, scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

__all__ = ["world"]


async def test_every_entrance_below_an_administrators_is_walked_through() -> None:
    low = {f"{method} {path}" for (method, path), role in ROUTES.items() if role in (Role.READ, Role.WRITE)}
    low |= {name for name, role in RPCS.items() if role in (Role.READ, Role.WRITE)}
    assert low == LOOKS.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("entrance", LOOKS)
async def test_a_private_picture_is_its_owners_and_the_administrators(world: World, entrance: str) -> None:
    for number, look in enumerate(LOOKS[entrance]):
        found = {who: await look(world, who) for who in PEOPLE}
        if entrance == "GET /duplicates":
            assert {who for who, sees in found.items() if sees} <= SEES
        else:
            assert found == {who: who in SEES for who in PEOPLE}, (entrance, number)


async def test_another_neither_takes_its_key_nor_deletes_it(world: World) -> None:
    for who in ("bob",):
        taken = await world.upload(who, PICTURES[5], external_id=f"p{HIDDEN}")
        assert (taken.status_code, taken.json()["field"]) == (403, "external_id"), taken.text
        asked = search_pb2.UpsertRequest(image=PICTURES[5], external_id=f"p{HIDDEN}")
        refused = await code_of(world.stub().Upsert(asked, metadata=world.metadata(who)))
        assert refused is grpc.StatusCode.PERMISSION_DENIED
        assert (await world.ask(who, "DELETE", f"/images/{world.hidden}")).status_code == 404
        gone = world.stub().Delete(search_pb2.DeleteRequest(id=world.hidden), metadata=world.metadata(who))
        assert await code_of(gone) is grpc.StatusCode.NOT_FOUND
    await world.ok("ann", "DELETE", f"/images/{world.hidden}")
    assert (await world.ask("bob", "POST", f"/images/{world.hidden}/restore")).status_code == 404
    await world.ok("ann", "POST", f"/images/{world.hidden}/restore")
    assert (await world.ok("ann", "GET", f"/images/{world.hidden}"))["private"] is True


async def test_what_is_private_is_ones_own(world: World) -> None:
    for said in ({"private": True, "owner": "ann"}, {"private": "true", "owner": "ann", "external_id": "new"}):
        refused = await world.upload("bob", PICTURES[5], **said)
        assert (refused.status_code, refused.json()["field"]) == (403, "owner")
    refused = await world.ask("bob", "PATCH", f"/images/{world.ids[1]}", json={"private": True})
    assert (refused.status_code, refused.json()["field"]) == (403, "owner")
    refused = await world.ask("ann", "PATCH", f"/images/{world.hidden}", json={"owner": "bob"})
    assert (refused.status_code, refused.json()["field"]) == (403, "owner")
    wrong = await world.upload("bob", PICTURES[5], private="perhaps")
    assert (wrong.status_code, wrong.json()["field"]) == (422, "private")
    made = await world.upload("chief", PICTURES[5], private=True, owner="bob", external_id="given")
    assert (await world.ok("bob", "GET", f"/images/{made.json()['id']}"))["owner"] == "bob"
    assert (await world.ask("ann", "GET", f"/images/{made.json()['id']}")).status_code == 404
    await world.ok("chief", "DELETE", f"/images/{made.json()['id']}")


async def test_equal_bytes_of_others_stay_pictures_of_theirs(world: World) -> None:
    picture = encoded(scene(96, 64, 77))
    anns = (await world.upload("ann", picture, private=True)).json()
    bobs = (await world.upload("bob", picture, private=True)).json()
    public = (await world.upload("bob", picture)).json()
    assert len({anns["id"], bobs["id"], public["id"]}) == 3
    again = await world.upload("ann", picture, private=True)
    assert (again.status_code, again.json()["id"]) == (200, anns["id"])
    asked = {"sha256": [anns["sha256"]]}
    assert list((await world.ok("reader", "POST", "/images/known", json=asked))["known"].values()) == [public["id"]]
    for who, made in (("ann", anns), ("bob", bobs), ("bob", public)):
        await world.ok(who, "DELETE", f"/images/{made['id']}")


async def test_it_becomes_public_and_private_again_without_being_embedded(world: World) -> None:
    path = f"/images/{world.hidden}"
    for private in (False, True):
        changed = await world.ok("ann", "PATCH", path, json={"private": private})
        asked = looking(world, image_id=world.ids[1], receipts=[changed["receipt"]])
        found = await world.ok("reader", "POST", "/search", json=asked)
        assert (world.hidden in ids_in(found["results"])) is not private
        assert (await world.ask("reader", "GET", path)).status_code == (404 if private else 200)


async def test_clusters_are_read_by_whom_they_were_made_for(world: World) -> None:
    started = await world.ask("ann", "POST", "/search/cluster", json={"threshold": 0.8}, params={"wait_seconds": 0})
    jobs = (await world.ok(ADMIN, "GET", "/jobs"))["jobs"]
    job = started.json().get("job_id") or next(one["job_id"] for one in jobs if one["kind"] == "cluster")
    assert (await world.ask("bob", "GET", f"/jobs/{job}")).status_code == 404
    assert (await world.ask("bob", "DELETE", f"/jobs/{job}")).status_code == 404
    for who in ("ann", "chief"):
        await world.ok(who, "GET", f"/jobs/{job}")
