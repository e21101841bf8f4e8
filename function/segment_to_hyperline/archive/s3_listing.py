"""List what is in a bucket of S3.

Importing it takes as long as importing boto3 does.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from botocore.exceptions import ParamValidationError

from segment_to_hyperline.archive.aws_access import (
    AWS_ERRORS,
    create_client,
    explain_failure,
    find_code,
)
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.s3_objects import SCHEME, StoredObject

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_CODES = {
    "NoSuchBucket": "the bucket doesn't exist: check its name",
    "InvalidBucketName": "the name of the bucket is invalid: check it",
} | dict.fromkeys(
    (
        *("PermanentRedirect", "AuthorizationHeaderMalformed"),
        "IllegalLocationConstraintException",
    ),
    "the bucket is in another region: set AWS_DEFAULT_REGION to it",
)


class Folder(NamedTuple):
    """What a folder contains, but not what is in its folders."""

    objects: Sequence[StoredObject]
    folders: Sequence[str]


class Bucket:
    """Lists the objects of a bucket that are not hidden, nor in a hidden folder."""

    def __init__(self, name: str) -> None:
        self._name = name

    @cached_property
    def _client(self) -> Any:
        return create_client("s3")

    def describe(self, key: str) -> str:
        """Return the URL of a folder or object."""
        return f"'{SCHEME}{self._name}/{key}'"

    def find(self, key: str) -> StoredObject | None:
        """Return the object with this *key*, if there is one."""
        # It would be the first one whose key begins with *key*.
        page = next(self._list(key, MaxKeys=1))
        return next((s for s in self._read(page, key) if s.key == key), None)

    def list_folder(self, prefix: str) -> Folder:
        """Return what the folder *prefix* contains."""
        objects: list[StoredObject] = []
        folders: list[str] = []
        for page in self._list(prefix, Delimiter="/"):
            objects += self._read(page, prefix)
            names = [p["Prefix"] for p in page.get("CommonPrefixes", ())]
            folders += [name for name in names if not _is_hidden(name, prefix)]
        return Folder(objects, folders)

    def list_all(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every object whose key begins with *prefix*."""
        for page in self._list(prefix):
            yield from self._read(page, prefix)

    def _list(self, prefix: str, **options: Any) -> Iterator[Any]:
        try:
            paginator = self._client.get_paginator("list_objects_v2")
            yield from paginator.paginate(Bucket=self._name, Prefix=prefix, **options)
        except ParamValidationError as error:
            problem = _CODES["InvalidBucketName"]
            raise InputError(f"{self.describe(prefix)}: {problem}") from error
        except AWS_ERRORS as error:
            permission = f"s3:ListBucket for the bucket {self._name}"
            problem = _CODES.get(find_code(error)) or explain_failure(error, permission)
            raise InputError(f"{self.describe(prefix)}: {problem}") from error

    def _read(self, page: Any, prefix: str) -> Iterator[StoredObject]:
        for listed in page.get("Contents", ()):
            key = listed["Key"]
            # The console creates an object whose key ends in a slash for a folder.
            if not (key.endswith("/") or _is_hidden(key, prefix)):
                yield StoredObject(self._name, key, listed["Size"], listed["ETag"])


def _is_hidden(key: str, prefix: str) -> bool:
    return any(part.startswith(".") for part in key.removeprefix(prefix).split("/"))
