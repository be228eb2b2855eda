"""Training a codebook: a pure function of a sample."""

from omma.vectors import Float32
from services.nn_shard.engine.codebook import Codebook


def train_codebook(sample: Float32, factory: str, *, seed: int = 0) -> Codebook:
    """Train on sample: float32[n, d], L2-normalised, n >= 256. Takes about a minute for 65,536 x 256 on two cores.

    factory: a FAISS factory string of the form `[OPQm_d,]IVF{nlist},PQmx8`; `{nlist}` follows n, and m and d shrink to
    what the sample's dim allows. Raises InvalidQuery for another form or too few rows.
    """
    raise NotImplementedError
