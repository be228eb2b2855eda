"""Which models one process can roll out."""

import shutil
from pathlib import Path
from typing import cast

import pytest

from omma.errors import Absent, WrongState
from services.standalone.candidates import FolderCandidates
from services.standalone.data_dir import DataDir
from services.standalone.settings import StandaloneSettings
from tests.e2e.two_models import B, register_two


async def test_a_model_whose_file_is_not_its_checksums_is_refused_and_the_caller_can_tell(tmp_path: Path) -> None:
    models = tmp_path / "models"
    register_two(models)
    shutil.copytree(models / "tiny" / "2.0.0", models / "tiny" / "3.0.0")
    manifest = models / "tiny" / "3.0.0" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("2.0.0", "3.0.0"))
    with (models / "tiny" / "3.0.0" / "image.onnx").open("ab") as file:
        file.write(b"\0")
    settings = StandaloneSettings(data_dir=tmp_path / "data", egs={"models_dir": models})
    candidates = FolderCandidates(settings, cast(DataDir, None))
    for reference, error in (("tiny@3.0.0", WrongState), ("nobody@1.0.0", Absent)):
        with pytest.raises(error) as raised:
            await candidates.model(reference)
        assert raised.value.field == "model"
    assert (await candidates.model(B)).has_text_tower is False


async def test_a_model_without_windows_is_refused_where_they_are_set(tmp_path: Path) -> None:
    register_two(tmp_path / "models")
    settings = StandaloneSettings(
        data_dir=tmp_path / "data", egs={"models_dir": tmp_path / "models"}, indexer={"regions": "windows"}
    )
    candidates = FolderCandidates(settings, cast(DataDir, None))
    with pytest.raises(WrongState, match="OMMA_INDEXER__REGIONS") as refused:
        await candidates.model(B)
    assert refused.value.field == "model"
    assert (await candidates.model("omma-mini@1.3.0")).reference == "omma-mini@1.3.0"
