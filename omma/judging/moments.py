"""Sums over callers of products of what each did: all that an estimate needs, in one small matrix an arm."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from omma.judging.confidence import Float64

COLUMNS: Final = ("gained", "asked", "gained_before", "asked_before")
"""Of a caller in a split: searches with a click, searches, and both before the rollout. Interleaved: credited clicks,
the candidate's less the control's, credited clicks at all; nothing before."""

_ONE, _GAINED, _ASKED, _BEFORE = 0, 1, 2, slice(3, 5)


@dataclass(frozen=True, slots=True)
class Moments:
    """gram: float64[…, 5, 5], the sum over callers of v vᵀ with v = (1, *COLUMNS); leading axes are looks."""

    gram: Float64

    @classmethod
    def of(cls, rows: Iterable[tuple[float, float, float, float]]) -> "Moments":
        """rows: one a caller, as COLUMNS has them."""
        table = np.array(list(rows), float).reshape(-1, len(COLUMNS))
        values = np.column_stack([np.ones(len(table)), table])
        return cls(values.T @ values)

    @property
    def callers(self) -> Float64:
        return self._sum(_ONE)

    @property
    def gained(self) -> Float64:
        return self._sum(_GAINED)

    @property
    def asked(self) -> Float64:
        return self._sum(_ASKED)

    @property
    def before(self) -> Float64:
        """float64[…, 2]: the sums of what callers did before."""
        return np.asarray(self.gram[..., _ONE, _BEFORE])

    @property
    def before_squared(self) -> Float64:
        """float64[…, 2, 2]"""
        return np.asarray(self.gram[..., _BEFORE, _BEFORE])

    @property
    def rate(self) -> Float64:
        """gained / asked; NaN while nobody asked."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.gained / self.asked)

    @property
    def gained_squares(self) -> Float64:
        return self._product(_GAINED, _GAINED)

    def residual_squares(self, rate: Float64) -> Float64:
        """Sum over callers of (gained - rate · asked)²: the caller, not the search, is what varies by itself."""
        squares = self.gained_squares - 2 * rate * self._product(_GAINED, _ASKED)
        return np.maximum(squares + rate**2 * self._product(_ASKED, _ASKED), 0.0)

    def residual_before(self) -> Float64:
        """float64[…, 2]: sum over callers of (gained - rate · asked) times what they did before."""
        return np.asarray(self.gram[..., _GAINED, _BEFORE] - self.rate[..., None] * self.gram[..., _ASKED, _BEFORE])

    def _sum(self, column: int) -> Float64:
        return np.asarray(self.gram[..., _ONE, column])

    def _product(self, one: int, other: int) -> Float64:
        return np.asarray(self.gram[..., one, other])
