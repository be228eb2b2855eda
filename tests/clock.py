"""A clock that a test moves."""


class Clock:
    """seconds: since 1970, or since whenever the test likes."""

    def __init__(self, seconds: float = 1_700_000_000.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds
