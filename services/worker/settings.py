"""Settings of the worker: OMMA_WORKER__…"""

from pydantic import Field

from omma.settings import Section
from services.worker.lists.settings import UrlSettings


class WorkerSettings(Section):
    """Bounds of what the worker does at once, and how long it waits."""

    jobs_at_once: int = Field(default=2, ge=1, le=64, description="that this process runs")
    jobs_kept: int = Field(default=100, ge=1, le=10_000, description="finished jobs whose outcome can still be asked")
    job_lease_seconds: float = Field(default=30.0, ge=1, le=3600, description="then a silent runner's job is another's")
    job_keep_seconds: float = Field(default=0.5, ge=0.05, le=60, description="between two notes of a job's progress")
    job_poll_seconds: float = Field(default=2.0, ge=0.05, le=300, description="between looks for jobs of others")
    retry_seconds: float = Field(default=0.2, ge=0.01, le=60, description="first wait after a failure; doubles to 10 s")
    resend_seconds: float = Field(default=5.0, ge=0.1, le=3600.0, description="between looks for events never sent")
    settle_seconds: float = Field(
        default=30.0, ge=0.1, le=3600, description="a comparison waits for what is on its way, at most"
    )
    collect_seconds: float = Field(
        default=600.0, ge=0.1, le=86_400, description="between looks for bytes to delete; the grace, if it is shorter"
    )
    erase_seconds: float = Field(
        default=3_600.0,
        ge=1,
        le=7 * 86_400,
        description="erased pictures leave every disk within, or the job fails",
    )
    sweep_seconds: float = Field(
        default=86_400.0, ge=0.1, le=30 * 86_400, description="between listings of all originals and thumbnails"
    )
    rollout_look_seconds: float = Field(
        default=2.0, ge=0.05, le=3_600, description="between looks at a candidate that is being built"
    )
    judge_seconds: float = Field(default=60.0, ge=0.1, le=600, description="between two looks at a rollout")
    calibrate_seconds: float = Field(
        default=60.0, ge=0.05, le=86_400, description="between looks whether the index's pictures are others by now"
    )
    copies_seconds: float = Field(
        default=10.0, ge=0.05, le=86_400, description="between looks for new pictures that may be copies of others"
    )
    anomalies_seconds: float = Field(
        default=86_400.0, ge=1.0, le=365 * 86_400, description="between measurings of how far pictures stand apart"
    )
    interactions_kept_days: int = Field(default=90, ge=1, le=3_650, description="impressions and clicks, whole days")
    audit_kept_days: int = Field(default=365, ge=1, le=3_650, description="who changed what")
    bucket_backlog: int = Field(
        default=256, ge=1, le=1 << 20, description="events that wait; with more, a bucket's ingest adds none"
    )
    bucket_objects_per_second: float = Field(default=1_000.0, gt=0, le=1e6, description="read by one ingest")
    urls: UrlSettings = UrlSettings()
    inbox_topic: str = Field(
        default="omma.inbox", pattern=r"^[A-Za-z0-9._-]{1,249}$", description="of the notifications of OMMA_S3__INBOX"
    )
    inbox_tenant: str = Field(
        default="default", max_length=200, description="whose its pictures are; empty: the first folder of a key is"
    )
    inbox_partitions: int = Field(default=8, ge=1, le=1024, description="of a new topic of notifications")
    inbox_batch: int = Field(default=64, ge=1, le=1024, description="notifications taken from the log at once")
    poll_seconds: float = Field(default=1.0, ge=0.01, le=60)
