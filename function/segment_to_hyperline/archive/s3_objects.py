"""Read an object of S3 as a file, and continue where a connection broke.

Importing it takes as long as importing boto3 does.
"""

import io
import os
import time
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, override

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
from urllib3.exceptions import HTTPError

from segment_to_hyperline.archive.aws_access import (
    AWS_ERRORS,
    create_client,
    explain_failure,
    find_code,
)
from segment_to_hyperline.archive.files import InputError

SCHEME = "s3://"
_BUFFER_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 18
# The seconds before each attempt to continue, three minutes in total.
RETRY_WAITS = (0, 1, 2, 4, 8, 15, 30, 60, 60)
_CONNECTION_ERRORS = (HTTPClientError, IncompleteReadError, HTTPError)
_CHANGED = "it was changed or deleted since it was listed: run the command again"
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
_CODES = {
    "NoSuchKey": _CHANGED,
    "PreconditionFailed": _CHANGED,
    "InvalidObjectState": "it is in an archive of S3: restore the object first",
}


class StoredObject(NamedTuple):
    """An object of S3, as it was listed."""

    bucket: str
    key: str
    size: int
    """The number of its bytes."""
    tag: str
    """The ETag of its content."""

    @property
    def name(self) -> str:
        """Its URL, which begins with `s3://`."""
        return f"{SCHEME}{self.bucket}/{self.key}"


def open_object(
    stored: StoredObject, waits: Sequence[float] = RETRY_WAITS
) -> io.BufferedReader:
    """Return the bytes of *stored*; gzip is not decompressed.

    If the connection breaks or S3 is overloaded, reading continues at the same byte,
    after the seconds in *waits*. Reading raises `InputError` if the object can't be
    read, or is not the one that was listed.
    """
    return io.BufferedReader(_ObjectStream(stored, waits), _BUFFER_BYTES)


@cache
def find_client() -> Any:
    """Return the client of this process; raises one of `AWS_ERRORS`.

    It doesn't retry, because `_ObjectStream` does.
    """
    return create_client("s3", attempts=1)


# Processes can't share connections.
os.register_at_fork(after_in_child=find_client.cache_clear)


class _ObjectStream(io.RawIOBase):
    """The bytes of *stored*, in as many requests as it takes."""

    def __init__(self, stored: StoredObject, waits: Sequence[float]) -> None:
        self._object = stored
        self._waits = waits
        self._position = 0
        self._body: Any = None

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        # It is filled, because whoever looks for the mark of gzip needs two bytes.
        view = memoryview(buffer)[:_CHUNK_BYTES]
        size = 0
        while data := self._read(len(view) - size):
            view[size : size + len(data)] = data
            size += len(data)
            self._position += len(data)
        return size

    @override
    def close(self) -> None:
        self._disconnect()
        super().close()

    def _read(self, size: int) -> bytes:
        """Return up to *size* bytes, which are none only at the end."""
        if size == 0 or self._position == self._object.size:
            return b""
        waits = iter(self._waits)
        while True:
            try:
                return self._receive(size)
            except (*_CONNECTION_ERRORS, *AWS_ERRORS) as error:
                self._disconnect()
                wait = next(waits, None)
                if wait is None or not _is_temporary(error):
                    raise InputError(self._explain(error)) from error
                time.sleep(wait)

    def _receive(self, size: int) -> bytes:
        if self._body is None:
            self._body = self._request()
        data: bytes = self._body.read(size)
        if not data:
            raise IncompleteReadError(
                actual_bytes=self._position, expected_bytes=self._object.size
            )
        return data

    def _request(self) -> Any:
        """Return the rest of the object, if it is still the one that was listed."""
        bucket, key, _, tag = self._object
        rest = {"Range": f"bytes={self._position}-"} if self._position else {}
        response = find_client().get_object(Bucket=bucket, Key=key, IfMatch=tag, **rest)
        return response["Body"]

    def _disconnect(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def _explain(self, error: Exception) -> str:
        permission = f"s3:GetObject for the objects of the bucket {self._object.bucket}"
        problem = _CODES.get(find_code(error)) or explain_failure(error, permission)
        return f"'{self._object.name}': {problem}"


def _is_temporary(error: Exception) -> bool:
    """Return whether a retry can help."""
    if not isinstance(error, ClientError):
        return isinstance(error, _CONNECTION_ERRORS)
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500
