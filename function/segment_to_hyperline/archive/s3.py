"""Find events in S3, without listing all of Segment's archive.

Importing it takes as long as importing boto3 does, so import it only for a name that
begins with s3://.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from segment_to_hyperline.archive.files import InputError, NothingReceived
from segment_to_hyperline.archive.received_days import (
    ALL_DAYS,
    SEGMENT_LOGS,
    ReceivedDays,
    format_day,
    read_day,
)
from segment_to_hyperline.archive.s3_listing import Bucket
from segment_to_hyperline.archive.s3_objects import SCHEME, StoredObject

# The days are this many levels below the root: prefix, segment-logs, source, day.
_LEVELS = 3
_MAX_NAMES = 5


def find_objects(name: str, days: ReceivedDays = ALL_DAYS) -> list[StoredObject]:
    """Return the objects in *name*, an object or a folder, in the order of their keys.

    *name* is s3://BUCKET, or s3://BUCKET/KEY. Of Segment's archive, only the folders of
    *days* are listed; *name* can be any folder of it. Other folders are listed as a
    whole. A folder segment-logs hides what is beside it.

    Raises `NothingReceived` if the archive has other days only, and `InputError` if
    there are no objects, or if they can't be listed.
    """
    bucket_name, _, key = name.removeprefix(SCHEME).partition("/")
    bucket = Bucket(bucket_name)
    if key and not key.endswith("/"):
        if single := bucket.find(key):
            return [single]
        key += "/"
    found = _Found()
    _search(bucket, key, days, found, _LEVELS)
    if not (key or found.days):
        _check_root(bucket)
    for folder in found.folders:
        found.objects += bucket.list_all(folder)
    if not found.objects:
        problem = _explain_nothing(bucket, key, days, found)
        if found.days:
            raise NothingReceived(problem, max(found.days))
        raise InputError(problem)
    return sorted(found.objects, key=lambda stored: stored.key)


@dataclass
class _Found:
    """What was found in Segment's archive, or in another folder."""

    objects: list[StoredObject] = field(default_factory=list)
    """Objects that are in no folder of a day."""
    folders: list[str] = field(default_factory=list)
    """The folders to list."""
    days: set[int] = field(default_factory=set)
    """The days for which there are folders, needed or not."""


def _search(
    bucket: Bucket, folder: str, days: ReceivedDays, found: _Found, levels: int
) -> None:
    """Find what to list in *folder*, and in its folders of so many *levels*."""
    if read_day(folder) is not None:
        found.folders.append(folder)
        return
    content = bucket.list_folder(folder)
    if folder + SEGMENT_LOGS in content.folders:
        _search(bucket, folder + SEGMENT_LOGS, days, found, 1)
        return
    found.objects += content.objects
    for child in content.folders:
        day = read_day(child)
        if day is not None:
            found.days.add(day)
        if day is None and levels:
            _search(bucket, child, days, found, levels - 1)
        elif day is None or days.include(day):
            found.folders.append(child)


def _check_root(bucket: Bucket) -> None:
    """Raise `InputError` if *bucket* has folders only, but not Segment's archive."""
    objects, folders = bucket.list_folder("")
    if folders and not objects:
        raise InputError(
            f"{bucket.describe('')} has no folder {SEGMENT_LOGS}: name the folder with"
            f" the events, such as {_list_names(folders, '')}"
        )


def _explain_nothing(
    bucket: Bucket, folder: str, days: ReceivedDays, found: _Found
) -> str:
    if found.days:
        return (
            f"{bucket.describe(folder)} has no events {days.describe()}: its days are"
            f" {format_day(min(found.days))} to {format_day(max(found.days))}"
        )
    problem = f"{bucket.describe(folder)} has no objects"
    parent = folder.removesuffix("/").rpartition("/")[0]
    parent += "/" if parent else ""
    try:
        others = bucket.list_folder(parent).folders if folder else ()
    except InputError:  # the permission can be limited to the folder
        others = ()
    if not others:
        return f"{problem}: check the bucket and the folder"
    return f"{problem}: {bucket.describe(parent)} has {_list_names(others, parent)}"


def _list_names(folders: Sequence[str], parent: str) -> str:
    names = [folder.removeprefix(parent) for folder in folders[:_MAX_NAMES]]
    more = len(folders) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")
