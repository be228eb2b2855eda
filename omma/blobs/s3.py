"""Blobs on S3 or MinIO: one object a key, under a prefix of one bucket."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError, SSLError

from omma.blobs.files import whole_file
from omma.blobs.interface import Blobs, PresignedPut, checked_key, require_size
from omma.blobs.pieces import pieces
from omma.blobs.s3_errors import read_again, storage_error
from omma.blobs.s3_settings import S3Settings
from omma.errors import InvalidQuery, TooLarge, WrongState

T = TypeVar("T")

_PIECE_BYTES: Final = 1 << 20
_LISTED_AT_ONCE: Final = 1_000
_CONTENT_TYPE: Final = "application/octet-stream"
_CHECKSUM: Final = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
"""Of the whole object also when it goes up in parts: only such a one is checked again when it is read."""


class S3Blobs(Blobs):
    """boto3 on threads of its own; a request has timeouts and bounded tries, bytes are checked both ways by CRC32."""

    def __init__(self, settings: S3Settings) -> None:
        """Nothing is asked of the storage before `open`."""
        self._settings = settings
        self._executor = ThreadPoolExecutor(settings.connections, thread_name_prefix="omma-s3")
        self._client: Any = None
        self._presigning: Any = None

    @classmethod
    async def open(cls, settings: S3Settings) -> "S3Blobs":
        """Raises WrongState when the bucket is absent or not ours to use; ReplicaDown."""
        blobs = cls(settings)
        try:
            await blobs._run("", blobs._connect)
        except BaseException:
            await blobs.close()
            raise
        return blobs

    async def put(self, key: str, content: bytes, *, content_type: str = _CONTENT_TYPE) -> None:
        await self._run(key, partial(self._client.put_object, **self._at(key), Body=content, ContentType=content_type))

    async def put_file(self, key: str, path: Path) -> None:
        await self._run(key, partial(self._upload, self._at(key)["Key"], path))

    async def get(self, key: str, max_bytes: int | None = None) -> bytes:
        return await self._run(key, partial(read_again, partial(self._read, key, max_bytes), self._settings.tries))

    def pieces(self, key: str, max_bytes: int | None = None) -> AsyncIterator[bytes]:
        return pieces(partial(self._run, key), partial(self._opened, key, max_bytes))

    async def get_file(self, key: str, path: Path) -> None:
        await self._run(key, partial(read_again, partial(self._download, self._at(key), path), self._settings.tries))

    async def size(self, key: str) -> int | None:
        return await self._run(key, partial(self._size, self._at(key)))

    async def delete(self, key: str) -> None:
        await self._run(key, partial(self._client.delete_object, **self._at(key)))

    async def keys(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        asked: dict[str, Any] = {
            "Bucket": self._settings.bucket,
            "Prefix": self._own + prefix,
            "MaxKeys": _LISTED_AT_ONCE,
            "StartAfter": self._own + after,
        }
        while True:
            page = await self._run(prefix, partial(self._client.list_objects_v2, **asked))
            for found in page.get("Contents", ()):
                yield found["Key"].removeprefix(self._own)
            if not page["IsTruncated"]:
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    async def presigned_get(self, key: str, content_type: str = _CONTENT_TYPE) -> str:
        """A url that gives the blob to whoever has it, for as long as the settings say, as that type."""
        given = {**self._at(key), "ResponseContentType": content_type}
        return await self._run(key, partial(self._presigned, "get_object", given))

    async def presigned_put(self, key: str, *, bytes: int, content_type: str) -> PresignedPut:
        """An upload of exactly so many bytes of that type, which nobody has to pass through us."""
        if bytes < 1:
            raise InvalidQuery("An upload has at least one byte.", field="bytes", limit=1)
        given = {**self._at(key), "ContentLength": bytes, "ContentType": content_type}
        url = await self._run(key, partial(self._presigned, "put_object", given))
        return PresignedPut(
            url, {"Content-Length": str(bytes), "Content-Type": content_type}, self._settings.presigned_seconds
        )

    async def close(self) -> None:
        """Ends the threads once what they do is done."""
        for client in (self._client, self._presigning):
            if client is not None:
                client.close()
        self._executor.shutdown(wait=False)

    @property
    def _own(self) -> str:
        return f"{self._settings.prefix}/"

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._settings.bucket, "Key": self._own + checked_key(key)}

    async def _run(self, key: str, job: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, job)
        except Exception as error:
            known = storage_error(error, key)
            if known is None:
                raise
            raise known from error

    def _connect(self) -> None:
        settings = self._settings
        self._client = open_client(settings, settings.endpoint)
        self._presigning = open_client(settings, settings.public_endpoint or settings.endpoint)
        try:
            self._client.head_bucket(Bucket=settings.bucket)
        except (SSLError, NoCredentialsError) as error:
            raise WrongState(f"The object storage cannot be used: {error}", field="OMMA_S3__ENDPOINT") from None
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if status == 404 and settings.create_bucket:
                self._create_bucket()
            elif status == 404:
                raise WrongState(
                    f"There is no bucket {settings.bucket!r}; make it, or set OMMA_S3__CREATE_BUCKET=true.",
                    field="OMMA_S3__BUCKET",
                ) from None
            elif status in (301, 400, 401, 403):
                raise WrongState(
                    f"Bucket {settings.bucket!r} cannot be used with these keys and this region: {error}",
                    field="OMMA_S3__BUCKET",
                ) from None
            else:
                raise

    def _create_bucket(self) -> None:
        place: dict[str, Any] = {}
        if not self._settings.endpoint and self._settings.region != "us-east-1":
            place = {"CreateBucketConfiguration": {"LocationConstraint": self._settings.region}}
        try:
            self._client.create_bucket(Bucket=self._settings.bucket, **place)
        except ClientError as error:
            # Another process that starts with us was quicker.
            if error.response.get("Error", {}).get("Code") != "BucketAlreadyOwnedByYou":
                raise

    def _upload(self, name: str, path: Path) -> None:
        part = self._settings.part_bytes
        bounds = TransferConfig(multipart_threshold=part, multipart_chunksize=part, use_threads=False)
        with create_transfer_manager(self._client, bounds) as transfers:
            transfers.upload(str(path), self._settings.bucket, name, extra_args=dict(_CHECKSUM)).result()

    def _read(self, key: str, max_bytes: int | None) -> bytes:
        with self._opened(key, max_bytes) as body:
            content: bytes = body.read()
            return content

    def _opened(self, key: str, max_bytes: int | None) -> Any:
        answer = self._client.get_object(**self._at(key))
        try:
            require_size(key, int(answer["ContentLength"]), max_bytes)
        except TooLarge:
            answer["Body"].close()
            raise
        return answer["Body"]

    def _download(self, at: dict[str, str], path: Path) -> None:
        with self._client.get_object(**at)["Body"] as body, whole_file(path, path.parent) as file:
            _copy(body, file)

    def _size(self, at: dict[str, str]) -> int | None:
        try:
            return int(self._client.head_object(**at)["ContentLength"])
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                return None
            raise

    def _presigned(self, method: str, given: dict[str, Any]) -> str:
        url: str = self._presigning.generate_presigned_url(
            method, Params=given, ExpiresIn=self._settings.presigned_seconds
        )
        return url


def _copy(body: Any, file: BinaryIO) -> None:
    shutil.copyfileobj(body, file, _PIECE_BYTES)


def open_client(settings: S3Settings, endpoint: str) -> Any:
    """boto3's, with bounded waits and tries. A session of its own: the default one is shared by the process."""
    session = boto3.session.Session(region_name=settings.region)
    client = session.client(
        "s3",
        endpoint_url=endpoint or None,
        aws_access_key_id=settings.access_key or None,
        aws_secret_access_key=settings.secret_key.get_secret_value() or None,
        verify=None if settings.authority is None else str(settings.authority),
        config=Config(
            signature_version="s3v4",
            connect_timeout=settings.connect_timeout_seconds,
            read_timeout=settings.read_timeout_seconds,
            retries={"total_max_attempts": settings.tries, "mode": "standard"},
            max_pool_connections=settings.connections,
            tcp_keepalive=True,
            request_checksum_calculation="when_supported",
            response_checksum_validation="when_supported",
            s3={"addressing_style": settings.addressing},
        ),
    )
    client.meta.events.register("before-parse.s3", _drop_body_of_error)
    return client


def _drop_body_of_error(response_dict: dict[str, Any], **_: Any) -> None:
    """An error that carries the object's checksum, as MinIO's do when a disk is damaged, breaks botocore's parser."""
    if response_dict["status_code"] >= 300 and not isinstance(response_dict["body"], bytes):
        response_dict["body"] = b""
