"""What every test may ask for. A test's mark is the folder it lies in."""

import os
from pathlib import Path

import pytest
from hypothesis import Phase, settings

# Without the phase that explains a failure: it traces every line, twenty times slower, before there is one to explain.
settings.register_profile("omma", phases=set(Phase) - {Phase.explain}, deadline=None)
settings.load_profile("omma")

pytest_plugins = ["tests.part_fixtures"]

ROOT = Path(__file__).parent.parent
MARKS = ("unit", "contract", "congruence", "integration", "e2e", "helm", "kubernetes", "web")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        if folder in MARKS:
            item.add_marker(folder)


def _real_part(path: Path, what: str) -> Path:
    if path.exists():
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have {what}: {path} is absent")
    pytest.skip(f"{what} not here: {path} is absent")


@pytest.fixture(scope="session")
def photographs() -> Path:
    """A folder of real photographs (caltech-101, clothing-cc0, grocery, edited-copies); see CONTRIBUTING."""
    return _real_part(Path(os.environ.get("OMMA_TEST_PICTURES", ROOT.parent / "shared" / "data")), "photographs")


@pytest.fixture(scope="session")
def teacher_model() -> Path:
    """A folder with the MobileNetEdgeTPU ONNX file that tests embed with."""
    return _real_part(Path(os.environ.get("OMMA_TEST_MODEL", ROOT.parent / "shared" / "models")), "the teacher model")
