"""A bucket of its own for a test, on the session's MinIO."""

import itertools
import os
from typing import Any, Final

from deploy.parts import Minio
from omma.blobs.s3_settings import S3Settings

_numbers: Final = itertools.count()


def bucket_settings(server: Minio, **more: Any) -> S3Settings:
    """Settings of blobs in a new bucket, which is made when they are opened."""
    given = {
        "bucket": f"test-{os.getpid()}-{next(_numbers)}",
        "create_bucket": True,
        "endpoint": server.endpoint,
        "access_key": server.access_key,
        "secret_key": server.secret_key,
        "part_bytes": 5 << 20,
    }
    return S3Settings.model_validate(given | more)
