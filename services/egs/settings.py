"""Settings of EGS: OMMA_EGS__… in the environment."""

from pathlib import Path
from typing import Final

from pydantic import Field

from omma.cores import cores
from omma.settings import Section

_CORES: Final = cores()


class EgsSettings(Section):
    """Threads, bounds and limits of one embedder. The threads' defaults are the cores (docs/adr/0005)."""

    models_dir: Path = Field(default=Path("models"), description="The registry: <name>/<version>/manifest.json.")

    decode_threads: int = Field(default=_CORES, ge=1, le=256)
    model_threads: int = Field(default=_CORES, ge=1, le=256, description="Runs of a tower at a time, a core each.")
    wide_threads: int = Field(default=min(4, _CORES), ge=1, le=64, description="Cores that a lone picture is given.")
    max_batch: int = Field(default=1, ge=1, le=256, description="Items in one run; on a CPU more gain nothing.")
    queue_items: int = Field(default=256, ge=1, le=65_536, description="Regions and words inside; more are refused.")
    queue_bytes: int = Field(
        default=1 << 29, ge=1 << 20, le=1 << 40, description="Of pictures inside; more are refused."
    )
    max_text_characters: int = Field(default=2_000, ge=1, le=1_000_000)
