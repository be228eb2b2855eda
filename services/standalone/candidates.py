"""Models of the registries, and the room that this machine has for another index."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from omma.errors import Absent, Corrupt, WrongState
from omma.index import Index
from omma.rollouts.asked import RolloutRequest
from omma.rollouts.preflight import Room
from omma.space import Space
from services.egs.registry import load_model
from services.gateway.rollouts.rollouts import CandidateModel, Place, place_beside
from services.indexer.regions import require_regions
from services.standalone.data_dir import DataDir
from services.standalone.models import find_model
from services.standalone.settings import StandaloneSettings


class FolderCandidates:
    """services.gateway.rollouts.rollouts.Candidates of one process."""

    def __init__(self, settings: StandaloneSettings, data: DataDir) -> None:
        self._settings = settings
        self._data = data

    async def model(self, reference: str) -> CandidateModel:
        """Raises Absent, field `model`; WrongState, field `model`, for one whose files are not its checksums', or that
        has not what OMMA_INDEXER__REGIONS wants.
        """
        return await asyncio.to_thread(self._model, reference)

    async def room(self) -> Room:
        return Room(await asyncio.to_thread(self._data.free_bytes), _free_memory_bytes())

    async def place(self, request: RolloutRequest, space: Space, control: Index, known: Sequence[Index]) -> Place:
        """In this process."""
        return place_beside(request, space, control, known)

    async def place_space(self, space: Space) -> Place:
        """In this process."""
        return Place(f"{space.id}.1", self._settings.shards)

    def _model(self, reference: str) -> CandidateModel:
        try:
            found = load_model(find_model(self._settings, reference), reference).manifest
        except Absent as error:
            raise Absent(error.detail, field="model") from None
        except Corrupt as error:
            raise WrongState(f"Model {reference} is damaged. {error.detail}", field="model") from None
        windows = found.windows.count if found.windows else 0
        require_regions(self._settings.indexer.regions, found.reference, windows, field="model")
        return CandidateModel(found.reference, found.space(), bool(found.text))


def _free_memory_bytes() -> int | None:
    try:
        with Path("/proc/meminfo").open() as file:
            available = next(line for line in file if line.startswith("MemAvailable:"))
        return int(available.split()[1]) * 1024
    except (OSError, StopIteration):
        pages = os.sysconf("SC_AVPHYS_PAGES") if "SC_AVPHYS_PAGES" in os.sysconf_names else 0
        return pages * os.sysconf("SC_PAGE_SIZE") or None
