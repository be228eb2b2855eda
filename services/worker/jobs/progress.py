"""How far a job is."""

from collections import Counter

from omma.catalog.job import Job


class Progress:
    """counts: what was done, by name. cursor: what lies before it is done, durably; "" at the start."""

    def __init__(self, cursor: str = "", counts: Counter[str] | None = None) -> None:
        self.cursor = cursor
        self.counts: Counter[str] = counts or Counter()

    @classmethod
    def of(cls, job: Job) -> "Progress":
        """Where the job's last runner left off; the start for one without a cursor, which begins again."""
        return cls(job.cursor, Counter(job.counts)) if job.cursor else cls()

    def begin_again(self) -> None:
        """Without a cursor everything is looked at, and counted, once more."""
        if not self.cursor:
            self.counts.clear()
