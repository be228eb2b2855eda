"""How lists of pictures are fetched: OMMA_WORKER__URLS__…"""

from pydantic import Field

from omma.settings import Section


class UrlSettings(Section):
    """Patience with other people's web servers, and bounds of what is asked of them at once."""

    at_once: int = Field(
        default=16, ge=1, le=1_024, description="downloads of a list by one process; each holds a picture"
    )
    by_host: int = Field(default=4, ge=1, le=1_024, description="of them, from one host")
    seconds: float = Field(default=20.0, gt=0, le=3600, description="for one try at one picture")
    tries: int = Field(default=3, ge=1, le=20, description="of what may go better another time")
    wait_seconds: float = Field(default=0.5, gt=0, le=60, description="before the second try; doubles, and varies")
    host_failures: int = Field(default=8, ge=1, le=1_000, description="of a host one after another; then it rests")
    host_rest_seconds: float = Field(default=5.0, gt=0, le=3600, description="then one try; doubles each time")
    host_rests: int = Field(default=3, ge=0, le=20, description="then the host is given up until the next ingest")
