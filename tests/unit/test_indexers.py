"""Which spaces are fed: a candidate whose model has not what is set is left out, and its rollout says why."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import pytest

from omma.errors import WrongState
from omma.images import DEFAULT_LIMITS
from omma.rollouts.rollout import fault_of
from omma.space import Space
from omma.storage import Storage, StorageSettings, open_storage
from services.egs.client import Embedder
from services.gateway.rest.rollouts import rollout_document
from services.indexer.settings import IndexerSettings
from services.indexer.spaces import Fed, Indexers
from tests.contract.catalogs import SPACE
from tests.contract.rollouts import CANDIDATE, LIVE, OTHER, ROLLOUT, TOLD, with_live_index


class Model:
    """Nothing is embedded here."""

    def __init__(self, space: Space, windows: int) -> None:
        self.space, self.windows = space, windows


def fed(live_windows: int = 16, windows: int = 0) -> list[Fed]:
    models = (LIVE, Model(SPACE, live_windows)), (CANDIDATE, Model(OTHER, windows))
    return [Fed(index, cast(Embedder, model), list) for index, model in models]


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with AsyncExitStack() as stack:
        made = await open_storage(StorageSettings(data_dir=tmp_path), stack)
        await with_live_index(made.catalog)
        await made.catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
        yield made


def indexers(storage: Storage, regions: str) -> Indexers:
    settings = IndexerSettings(regions=regions)
    return Indexers(storage, settings, DEFAULT_LIMITS, backfill_share=0.5)


async def reasons(storage: Storage) -> list[str]:
    told = rollout_document(await storage.catalog.rollout(ROLLOUT.id), CANDIDATE, LIVE)
    return list(told["reasons"])


async def test_a_candidate_without_windows_says_why_it_is_not_built_until_it_can_be(storage: Storage) -> None:
    windows = indexers(storage, "windows")
    await windows.tend(fed())
    (reason,) = await reasons(storage)
    assert "OMMA_INDEXER__REGIONS" in reason and OTHER.model in reason
    await windows.close()
    # The indexer starts again, now with another setting.
    without = indexers(storage, "none")
    await without.tend(fed())
    assert await reasons(storage) == []
    await without.close()


async def test_a_candidate_with_windows_is_fed_and_nothing_is_said(storage: Storage) -> None:
    windows = indexers(storage, "windows")
    await windows.tend(fed(windows=16))
    assert fault_of((await storage.catalog.rollout(ROLLOUT.id)).figures) == ""
    await windows.close()


async def test_a_live_model_without_windows_ends_the_indexer(storage: Storage) -> None:
    windows = indexers(storage, "windows")
    with pytest.raises(WrongState) as refused:
        await windows.tend(fed(live_windows=0))
    assert refused.value.field == "OMMA_INDEXER__REGIONS"
    await windows.close()
