"""The sample catalogue: varied, captioned, and the same from the same seed."""

import json
from pathlib import Path
from random import Random

import numpy as np

from services.standalone.sample.canvas import COLOURS
from services.standalone.sample.catalogue import Sample, draw_catalogue, samples


def drawn(sample: Sample) -> np.ndarray:
    return np.asarray(sample.draw(Random(sample.seed), COLOURS[sample.colour]).finished())


def test_there_are_at_least_300_pictures_and_no_two_have_a_name_or_a_caption_in_common():
    every = list(samples())
    assert len(every) >= 300
    assert len({one.name for one in every}) == len({one.caption for one in every}) == len(every)


def test_every_kind_draws_something_that_only_its_seed_decides():
    kinds = {one.tags[1]: one for one in samples()}
    for one in kinds.values():
        picture = drawn(one)
        assert picture.shape == (240, 320, 3) and picture.std() > 5
        np.testing.assert_array_equal(picture, drawn(one))
    assert len(kinds) >= 40


def test_drawing_again_goes_on_where_it_was(tmp_path: Path, monkeypatch):
    few = list(samples())[:5]
    monkeypatch.setattr("services.standalone.sample.catalogue.samples", lambda seed: few)
    assert draw_catalogue(tmp_path) == 5
    (tmp_path / few[0].name).unlink()
    kept = (tmp_path / few[1].name).stat().st_mtime_ns
    assert draw_catalogue(tmp_path) == 5
    assert (tmp_path / few[1].name).stat().st_mtime_ns == kept and (tmp_path / few[0].name).exists()
    assert json.loads((tmp_path / "captions.json").read_text())[few[0].name]["tags"] == list(few[0].tags)
