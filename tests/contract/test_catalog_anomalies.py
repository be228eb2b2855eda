"""What every catalog keeps of how far pictures stand apart."""

from omma.catalog.anomaly import AnomalyMeasure, AnomalyScore
from omma.catalog.feedback import Feedback, FeedbackAction
from omma.catalog.interface import Catalog
from omma.identity import ImageId
from tests.clock import Clock
from tests.contract.catalogs import ANN, BOB, SPACE, embedded, new, one

DISTANCE, DENSITY, TRAINING = AnomalyMeasure


async def test_the_farthest_come_first_page_by_page(catalog: Catalog, clock: Clock) -> None:
    made = [await one(catalog, new(str(number))) for number in range(5)]
    ids = [each.id for each in made]
    bobs = await one(catalog, new("bob's"), BOB)
    assert await catalog.pictures_to_score(None, ImageId(0), 9) == [], "nothing is indexed yet"
    await embedded(catalog, *made, bobs)
    every = [*((id, ANN) for id in ids), (bobs.id, BOB)]
    assert await catalog.pictures_to_score(None, ImageId(0), 9) == every
    assert await catalog.pictures_to_score(ANN, ids[1], 2) == every[2:4]

    distances = [0.5, 0.25, 0.5, 0.75, 0.0]
    scores = [AnomalyScore(id, far, 1 - far, 10) for id, far in zip(ids, distances, strict=True)]
    await catalog.keep_anomaly_scores(ANN, SPACE.id, scores)
    await catalog.keep_anomaly_scores(BOB, SPACE.id, [AnomalyScore(bobs.id, 1.0, 1.0, 1)])
    await catalog.keep_anomaly_scores(ANN, SPACE.id, [])
    farthest = [ids[3], ids[0], ids[2], ids[1], ids[4]]
    found = await catalog.anomalies(ANN, SPACE.id, DISTANCE, 9)
    assert [each.image_id for each in found] == farthest
    assert (found[0].distance, found[0].density, found[0].neighbours) == (0.75, 0.25, 10)
    for at in range(5):
        page = await catalog.anomalies(ANN, SPACE.id, DISTANCE, 2, (found[at].distance, found[at].image_id))
        assert [each.image_id for each in page] == farthest[at + 1 : at + 3]
    assert [each.image_id for each in await catalog.anomalies(ANN, SPACE.id, DENSITY, 1)] == [ids[4]]
    assert await catalog.anomalies(ANN, "another", DISTANCE, 9) == []


async def test_by_training_only_what_was_measured_so_is_listed(catalog: Catalog) -> None:
    made = [await one(catalog, new(str(number))) for number in range(4)]
    await embedded(catalog, *made)
    far = [0.25, None, 0.75, 0.25]
    scores = [AnomalyScore(each.id, 0.5, 0.5, 3, apart) for each, apart in zip(made, far, strict=True)]
    await catalog.keep_anomaly_scores(ANN, SPACE.id, scores)
    found = await catalog.anomalies(ANN, SPACE.id, TRAINING, 9)
    assert [(each.image_id, each.training) for each in found] == [
        (made[2].id, 0.75),
        (made[0].id, 0.25),
        (made[3].id, 0.25),
    ]
    page = await catalog.anomalies(ANN, SPACE.id, TRAINING, 9, (0.25, made[0].id))
    assert [each.image_id for each in page] == [made[3].id]
    await catalog.keep_anomaly_scores(ANN, SPACE.id, [AnomalyScore(made[2].id, 0.5, 0.5, 3)])
    assert len(await catalog.anomalies(ANN, SPACE.id, TRAINING, 9)) == 2, "its model says no more"


async def test_what_was_reviewed_or_deleted_is_not_listed_until_it_is_measured_anew(
    catalog: Catalog, clock: Clock
) -> None:
    made = [await one(catalog, new(str(number))) for number in range(3)]
    await embedded(catalog, *made)
    scores = [AnomalyScore(each.id, 0.5, 0.5, 2) for each in made]
    await catalog.keep_anomaly_scores(ANN, SPACE.id, scores)
    clock.seconds += 1
    await catalog.add_feedback(ANN, Feedback(made[0].id, FeedbackAction.REVIEWED))
    await catalog.add_feedback(ANN, Feedback(made[1].id, FeedbackAction.ANOMALY))
    await catalog.delete(ANN, [made[2].id])
    assert [each.image_id for each in await catalog.anomalies(ANN, SPACE.id, DISTANCE, 9)] == [made[1].id]
    clock.seconds += 1
    await catalog.keep_anomaly_scores(ANN, SPACE.id, [AnomalyScore(made[0].id, 0.75, 0.5, 2)])
    found = await catalog.anomalies(ANN, SPACE.id, DISTANCE, 9)
    assert [(each.image_id, each.distance) for each in found] == [(made[0].id, 0.75), (made[1].id, 0.5)]
