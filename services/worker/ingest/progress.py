"""How far an ingest is."""

from dataclasses import asdict, dataclass

from omma.catalog.job import Job


@dataclass(slots=True)
class Progress:
    """pictures: in the folder, by their suffix; 0 while nobody knows. looked_at: of them, so far. skipped: what is no
    picture by suffix. unreadable: could not even be opened; what cannot be decoded becomes a dead letter later.

    cursor: what lies before it is done, durably; "" at the start, and always of a folder.
    """

    pictures: int = 0
    looked_at: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    vanished: int = 0
    skipped: int = 0
    unreadable: int = 0
    cursor: str = ""

    @classmethod
    def of(cls, job: Job) -> "Progress":
        """Where the job's last runner left off; the start for one without a cursor, which begins again."""
        return cls(**job.counts, cursor=job.cursor) if job.cursor else cls()

    def begin_again(self) -> None:
        """Without a cursor everything is looked at, and counted, once more."""
        if not self.cursor:
            for name in self.counts():
                setattr(self, name, 0)

    def counts(self) -> dict[str, int]:
        counts = asdict(self)
        del counts["cursor"]
        return counts
