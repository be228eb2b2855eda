"""How one engine stores and searches; every number has bounds.

Beside the engine and not in it: whoever reads settings loads no FAISS.
"""

from pydantic import Field

from omma.settings import Section


class EngineSettings(Section):
    """Sizes are rows, that is region vectors, unless the name says otherwise."""

    train_rows: int = Field(50_000, ge=256, le=10_000_000, description="Live rows from which a codebook is worth it.")
    train_sample_rows: int = Field(65_536, ge=256, le=2_097_152, description="Rows that a codebook is trained on.")
    seal_rows: int = Field(65_536, ge=16, le=4_194_304, description="Head rows at which a segment is sealed.")
    merge_ratio: float = Field(8.0, ge=1.0, le=100.0, description="An older segment joins a merge up to this multiple.")
    max_segment_rows: int = Field(4_194_304, ge=1_024, le=1_073_741_824, description="A merge makes none larger.")
    max_dead_fraction: float = Field(0.25, gt=0.0, le=1.0, description="Dead rows at which a segment is rewritten.")
    min_candidates: int = Field(200, ge=10, le=100_000, description="Fewest candidates that originals score exactly.")
    exact_rows: int = Field(16_384, ge=0, le=1_048_576, description="A filter that leaves fewer is scanned exactly.")
    filter_cache_bytes: int = Field(16_777_216, ge=65_536, le=4_294_967_296, description="Evaluated filters a segment.")
    rebuild_growth: float = Field(
        8.0, ge=1.5, le=1_000.0, description="Rows over the planned ones that propose a rebuild."
    )
    rebuild_drift: float = Field(0.85, ge=0.0, le=1.0, description="Share of the trained fit that proposes a rebuild.")
    gpu: bool = Field(False, description="Clone sealed segments of 8-bit codes to a GPU, if FAISS was built for one.")
