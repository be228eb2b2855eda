"""Golden pairs: known neighbours of drawn pictures, which change when preprocessing drifts by one pixel convention."""

from pathlib import Path

import pytest
from golden.pairs import Gallery, Vectors, drifted, embedded, gallery_file, make_gallery

from services.egs.registry import Model, load_model
from tests.teacher import register_teacher

MODELS = Path(__file__).parents[2] / "models"
OURS = "omma-mini"


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The model that is shipped; the teacher in a checkout that ships none."""
    if (MODELS / OURS).is_dir():
        return load_model(MODELS, OURS)
    return register_teacher(request.getfixturevalue("teacher_model"), tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def vectors(model: Model) -> Vectors:
    return embedded(model)


@pytest.fixture(scope="module")
def wrong(model: Model) -> dict[str, Vectors]:
    return drifted(model)


@pytest.fixture(scope="module")
def gallery(model: Model, request: pytest.FixtureRequest) -> Gallery:
    """What is kept for the shipped model; for another it is made, which shows that drifts are caught and no more."""
    file = gallery_file(model)
    if not file.exists() and model.manifest.name == OURS:
        pytest.fail(f"{file.name} is absent: PYTHONPATH=tests python -m golden.pairs {model.manifest.reference}")
    if file.exists():
        return Gallery.load(file)
    return make_gallery(model, request.getfixturevalue("vectors"), request.getfixturevalue("wrong"))


def test_the_drawn_pictures_have_the_neighbours_that_they_had(model: Model, vectors: Vectors, gallery: Gallery) -> None:
    assert gallery.signature == model.manifest.signature(), "the kept vectors are another model's: make them again"
    assert gallery.faults(vectors) == []


def test_every_drift_is_caught_and_named(wrong: dict[str, Vectors], gallery: Gallery) -> None:
    assert len(wrong) >= 13
    for drift, vectors in wrong.items():
        found = gallery.faults(vectors)
        assert [fault for fault in found if f"/{drift}," in fault], f"{drift} went unseen: {found}"


def test_a_gallery_is_the_same_after_it_was_kept(tmp_path: Path, gallery: Gallery) -> None:
    gallery.save(tmp_path / "kept.npz")
    again = Gallery.load(tmp_path / "kept.npz")
    assert (again.names, again.signature) == (gallery.names, gallery.signature)
    own = {name: row for name, row in zip(gallery.names, gallery.vectors, strict=True) if "/" not in name}
    assert again.faults(own) == []
