"""A part that this machine cannot start."""


class PartMissing(Exception):
    """what: the part. remedy: how to get it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what = what
        self.remedy = remedy
