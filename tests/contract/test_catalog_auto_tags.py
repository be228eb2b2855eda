"""Tags that nobody gave, in every catalog."""

from omma.catalog.auto_tag import AutoTagged
from omma.catalog.interface import Catalog
from omma.keywords import Keyword, Teller
from tests.contract.catalogs import ANN, BOB, new, one, sha

LAMP = Keyword("lamp", 0.75, (Teller.NEIGHBOURS, Teller.WORDS))
RED = Keyword("red", 0.5, (Teller.NEIGHBOURS,))


async def test_they_are_of_a_tenants_picture_and_of_its_bytes(catalog: Catalog) -> None:
    picture = await one(catalog, new("a"))
    assert await catalog.auto_tags(ANN, picture.id) == ()
    await catalog.keep_auto_tags(ANN, [AutoTagged(picture.id, sha("a"), (LAMP, RED))])
    assert await catalog.auto_tags(ANN, picture.id) == (LAMP, RED)
    assert await catalog.auto_tags(BOB, picture.id) == ()
    await catalog.keep_auto_tags(ANN, [AutoTagged(picture.id, sha("a"), (RED,))])
    assert await catalog.auto_tags(ANN, picture.id) == (RED,)
    assert (await catalog.pictures([picture.id]))[picture.id].tags == (), "people's tags are others"
    await one(catalog, new("a", "other bytes"))
    assert await catalog.auto_tags(ANN, picture.id) == ()


async def test_they_go_when_they_are_taken_away_and_when_the_picture_is_erased(catalog: Catalog) -> None:
    first, second = await one(catalog, new("a")), await one(catalog, new("b"))
    both = [AutoTagged(row.id, sha(name), (LAMP,)) for row, name in ((first, "a"), (second, "b"))]
    await catalog.keep_auto_tags(ANN, both)
    await catalog.forget_auto_tags(BOB)
    assert await catalog.auto_tags(ANN, first.id) == (LAMP,)
    await catalog.erase(ANN, [first.id])
    assert await catalog.auto_tags(ANN, first.id) == () and await catalog.auto_tags(ANN, second.id) == (LAMP,)
    await catalog.forget_auto_tags(ANN)
    assert await catalog.auto_tags(ANN, second.id) == ()
