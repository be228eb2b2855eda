"""`python -m training.mini.outliers`: how many planted pictures `GET /qa/anomalies` lists first, by each measure.

50 held-out photographs of one set among 560 of another. What the model was trained on is told without the planted set,
as if the model had never seen the like.
"""

import argparse
import sys
from itertools import permutations
from pathlib import Path
from typing import Final

import numpy as np

from omma.trained_on import distances_to
from omma.vectors import Float32, Int64, normalise
from services.egs.registry import load_model
from training.mini.export import NAME
from training.mini.measure import Shipped
from training.mini.photographs import SETS, draw_pictures, photographs
from training.trained_on import MIDDLES, middles_of

_ROOT: Final = Path(__file__).parents[2]
_PLANTED: Final = 50
_OTHERS: Final = 560
_DRAWS: Final = 3
_NEIGHBOURS: Final = 10


def main() -> int:
    """0. Blocks: some 20 ms a photograph."""
    said = _arguments()
    draw_pictures(said.cache / "drawn")
    found = photographs(said.data, said.cache / "drawn")
    vectors = Shipped(load_model(said.models, f"{NAME}@{said.version}").folder).pictures([one.path for one in found])
    of_set, held_out = np.array([one.set for one in found]), np.array([one.held_out for one in found])
    print("| planted | among | distance | density | training |\n| --- | --- | --- | --- | --- |")
    for planted, others in permutations(SETS, 2):
        middles = normalise(middles_of(vectors[~held_out & (of_set != planted)], said.middles))
        first, second = (np.flatnonzero(held_out & (of_set == one)) for one in (planted, others))
        shares = [_shares(vectors, first, second, middles, draw) for draw in range(_DRAWS)]
        means = np.mean(shares, axis=0)
        print(f"| {planted} | {others} | {' | '.join(f'{one:.2f}' for one in means)} |")
    return 0


def _shares(vectors: Float32, planted: Int64, others: Int64, middles: Float32, draw: int) -> list[float]:
    """Of the first 50, how many are planted: by distance, density and training."""
    rng = np.random.default_rng(draw)
    rows = np.concatenate([rng.permutation(planted)[:_PLANTED], rng.permutation(others)[:_OTHERS]])
    chosen = vectors[rows]
    scores = chosen @ chosen.T
    np.fill_diagonal(scores, -2.0)
    nearest = -np.sort(-scores, axis=1)[:, :_NEIGHBOURS]
    measured = (1 - nearest[:, 0], 1 - nearest.mean(axis=1), distances_to(middles, chosen))
    return [float((np.argsort(-one, kind="stable")[:_PLANTED] < _PLANTED).mean()) for one in measured]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How many planted pictures each measure of anomalies lists first.")
    parser.add_argument("--data", type=Path, default=_ROOT.parent / "shared" / "data", help="the three sets")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "omma" / "mini")
    parser.add_argument("--models", type=Path, default=_ROOT / "models", help="the registry")
    parser.add_argument("--version", default="1.3.0")
    parser.add_argument("--middles", type=int, default=MIDDLES, help="that tell what it was trained on")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
