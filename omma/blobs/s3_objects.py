"""Other people's objects on S3 or MinIO."""

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError, ParamValidationError

from omma.blobs.object_uri import object_uri
from omma.blobs.objects import ListedObject, ObjectLook, ObjectPage, Objects
from omma.blobs.s3 import open_client
from omma.blobs.s3_errors import read_again, storage_error
from omma.blobs.s3_settings import S3Settings
from omma.errors import Absent, TooLarge
from omma.identity import Sha256

T = TypeVar("T")

_PIECE_BYTES: Final = 1 << 20
_BARRED: Final = frozenset(
    {"AccessDenied", "NoSuchBucket", "InvalidBucketName", "InvalidObjectState", "403"}
    | {"InvalidRequest", "InvalidArgument", "KeyTooLongError", "XMinioInvalidObjectName"}
)
"""Of this object or bucket: nothing that another try mends, and no fault of ours. InvalidRequest: its key is another's
(SSE-C)."""
_KEYS_ARE_AWAY: Final = "KMS."


class S3Objects(Objects):
    """boto3 on threads of its own; a request has timeouts and bounded tries."""

    def __init__(self, settings: S3Settings) -> None:
        self._client = open_client(settings, settings.endpoint)
        self._tries = settings.tries
        self._executor = ThreadPoolExecutor(settings.connections, thread_name_prefix="omma-s3-objects")

    async def look(self, bucket: str, key: str, max_bytes: int) -> ObjectLook | None:
        try:
            return await self._run(object_uri(bucket, key), partial(self._look, bucket, key, max_bytes))
        except _Gone:
            return None

    async def read(self, bucket: str, key: str, max_bytes: int) -> bytes:
        uri = object_uri(bucket, key)
        try:
            return await self._run(uri, partial(self._read, bucket, key, max_bytes))
        except _Gone:
            raise Absent(f"{uri} is no longer there.", field="uri") from None

    async def page(self, bucket: str, prefix: str, after: str, limit: int) -> ObjectPage:
        listed = await self._run(
            f"s3://{bucket}",
            partial(self._client.list_objects_v2, Bucket=bucket, Prefix=prefix, StartAfter=after, MaxKeys=limit),
        )
        objects = tuple(ListedObject(one["Key"], one["Size"], one["ETag"]) for one in listed.get("Contents", ()))
        return ObjectPage(objects, bool(listed["IsTruncated"]))

    async def close(self) -> None:
        """Ends the threads once what they do is done."""
        self._client.close()
        self._executor.shutdown(wait=False)

    async def _run(self, what: str, job: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, read_again, job, self._tries)
        except TooLarge:
            raise
        except Exception as error:
            code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
            if code in _BARRED or code.startswith(_KEYS_ARE_AWAY) or isinstance(error, ParamValidationError):
                raise Absent(f"{what} may not be read by this process ({code or error}).", field="uri") from error
            known = storage_error(error, what)
            if isinstance(known, Absent):
                raise _Gone from error
            if known is None:
                raise
            raise known from error

    def _look(self, bucket: str, key: str, max_bytes: int) -> ObjectLook:
        answer = self._client.get_object(Bucket=bucket, Key=key)
        size, etag = int(answer["ContentLength"]), str(answer["ETag"])
        with answer["Body"] as body:
            return ObjectLook(size, etag, None if size > max_bytes else _sha256(body))

    def _read(self, bucket: str, key: str, max_bytes: int) -> bytes:
        answer = self._client.get_object(Bucket=bucket, Key=key)
        with answer["Body"] as body:
            if answer["ContentLength"] > max_bytes:
                raise TooLarge(
                    f"{object_uri(bucket, key)} has more than {max_bytes} bytes.", field="uri", limit=max_bytes
                )
            content: bytes = body.read()
            return content


class _Gone(Exception):
    """There is no such object."""


def _sha256(body: Any) -> Sha256:
    digest = hashlib.sha256()
    while piece := body.read(_PIECE_BYTES):
        digest.update(piece)
    return Sha256(digest.hexdigest())
