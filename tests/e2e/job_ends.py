"""Jobs, waited for over REST."""

from typing import Any

import httpx

from tests.waiting import until

_SECONDS = 240.0


def ended(client: httpx.Client, job_id: str) -> Any:
    """The job, once it is done."""

    def looked() -> Any:
        job = client.get(f"/jobs/{job_id}").json()
        return job if job["state"] not in ("waiting", "running") else None

    job = until(looked, _SECONDS, job_id)
    assert job["state"] == "done", job
    return job
