"""How many calls hedging may add."""


class HedgeBudget:
    """A token bucket that calls fill: after n calls at most `share * n + burst` hedges were allowed."""

    __slots__ = ("_burst", "_saved", "_share")

    def __init__(self, share: float, burst: int) -> None:
        """share: hedges that one call pays for. burst: most that is saved up; there from the start."""
        self._share = share
        self._burst = float(burst)
        self._saved = self._burst if share > 0 else 0.0

    @property
    def saved(self) -> float:
        """Hedges that may come at once."""
        return self._saved

    def called(self) -> None:
        """A first call was made."""
        self._saved = min(self._burst, self._saved + self._share)

    def spend(self) -> bool:
        """Whether a hedge may be made now; it is counted."""
        # A thousand additions of 0.05 are a little less than 50.
        if self._saved < 1 - 1e-9:
            return False
        self._saved -= 1
        return True
