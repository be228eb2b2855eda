"""Jobs, waited for over REST."""

import time
from typing import Any

import httpx

_SECONDS = 240.0


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """The job, once it is done."""
    until = time.monotonic() + _SECONDS
    while (job := client.get(f"/jobs/{job_id}").json())["state"] in ("waiting", "running"):
        assert time.monotonic() < until, job
        time.sleep(0.1)
    assert job["state"] == "done", job
    return dict(job)
