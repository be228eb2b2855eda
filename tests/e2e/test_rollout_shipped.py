"""A folder that an earlier version of the shipped model embedded is taken over by the one that is shipped now."""

import io
from itertools import islice
from pathlib import Path
from random import Random

from services.standalone.sample.canvas import COLOURS
from services.standalone.sample.catalogue import Sample, samples
from tests.e2e.rolled_folder import Folder
from tests.e2e.rolling import ok, reaches

OLD, NEW = "omma-mini@1.1.0", "omma-mini@1.3.0"


def _drawn(sample: Sample) -> bytes:
    packed = io.BytesIO()
    sample.draw(Random(sample.seed), COLOURS[sample.colour]).finished().save(packed, "JPEG")
    return packed.getvalue()


async def test_a_folder_of_1_1_is_taken_over_by_1_3_and_finds_by_words_as_before(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    some = list(islice(samples(), 0, None, 60))
    asked = {"text": some[0].caption, "k": 3, "near_duplicates": "keep", "timeout_ms": 60_000}
    async with folder.up(model=OLD) as client:
        for number, sample in enumerate(some):
            told = {"external_id": f"p{number}"}
            await ok(client.post("/images", files={"image": _drawn(sample)}, data=told))
        first = await ok(client.post("/search", json=asked))
        assert first["space"].startswith("omma-mini-1.1.0-")
        begun = await ok(client.post("/rollouts", json={"model": NEW, "reason": "pictures of any kind"}))
        await reaches(client, begun["id"], "shadow")
        await ok(client.post(f"/rollouts/{begun['id']}/canary", json={"share": 50, "force": True}))
        await ok(client.post(f"/rollouts/{begun['id']}/promote", json={"reason": "better"}))
    async with folder.up(model="") as client:
        found = await ok(client.post("/search", json=asked))
        assert found["space"].startswith("omma-mini-1.3.0-") and found["degraded"] == []
        assert [hit["id"] for hit in found["results"]][:1] == [hit["id"] for hit in first["results"]][:1] == [1]
        assert (await ok(client.get("/images")))["count"] == len(some)
