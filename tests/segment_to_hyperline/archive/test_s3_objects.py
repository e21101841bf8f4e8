"""Reading an object of S3, also through broken connections."""

import gzip
import random
from typing import Any

import pytest

from local_stack.segment_requests import write
from segment_to_hyperline.archive.captured import CapturedEvent, read_events
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.s3 import find_objects
from segment_to_hyperline.archive.s3_objects import (
    RETRY_WAITS,
    StoredObject,
    open_object,
)
from tests.samples import track
from tests.segment_to_hyperline.archive.fake_s3 import Cut, FakeS3, Fault

GZIP = b"\x1f\x8b"
NO_WAITS = (0,) * len(RETRY_WAITS)
OVERLOAD = Fault("503 Slow Down", "SlowDown")
EVENTS = [
    track(messageId=f"m-{n}", userId=random.Random(n).randbytes(99).hex())
    for n in range(1_000)
]
NDJSON = "\n".join(map(write, EVENTS)).encode()
ARCHIVE = gzip.compress(NDJSON)


def store(s3: FakeS3, body: bytes = ARCHIVE, **options: str) -> StoredObject:
    """Store an object, and return it as it is listed."""
    bucket = s3.create_bucket()
    s3.put(bucket, "a/1.gz", body=body, **options)
    return find_objects(f"s3://{bucket}/a")[0]


def read_all(stored: StoredObject) -> list[Any]:
    """Return the events of an object, as they are read from files."""
    with open_object(stored, NO_WAITS) as file:
        is_compressed = file.peek(2)[:2] == GZIP
        stream: Any = gzip.GzipFile(fileobj=file) if is_compressed else file
        return [
            part.event.data if isinstance(part, CapturedEvent) else part.reason
            for part in read_events(stream)
        ]


def fail_to_read(stored: StoredObject) -> str:
    """Return why an object can't be read, without its name."""
    with pytest.raises(InputError) as caught:
        read_all(stored)
    return str(caught.value).removeprefix(f"'{stored.name}': ")


@pytest.mark.parametrize("body", [ARCHIVE, NDJSON])
@pytest.mark.parametrize("options", [{}, {"ContentEncoding": "gzip"}])
def test_events_are_read(s3: FakeS3, body: bytes, options: dict[str, str]) -> None:
    """Whether they are compressed is seen in the bytes, not in the encoding."""
    stored = store(s3, body, **options)

    assert stored.size == len(body)
    assert read_all(stored) == EVENTS
    assert len(s3.find("GetObject")) == 1


def test_an_empty_object_has_no_events(s3: FakeS3) -> None:
    """A range of it can't be requested."""
    assert read_all(store(s3, b"")) == []


@pytest.mark.parametrize("body", [ARCHIVE, NDJSON], ids=["gzip", "plain"])
@pytest.mark.parametrize("seed", range(3))
def test_reading_continues_where_the_connection_broke(
    s3: FakeS3, body: bytes, seed: int
) -> None:
    """No event is lost or read twice, wherever it broke and how often."""
    stored = store(s3, body)
    sizes = [random.Random(seed + n).randrange(len(body) // 8) for n in range(7)]
    s3.fail("GetObject", *map(Cut, sizes))

    assert read_all(stored) == EVENTS

    requests = s3.find("GetObject")
    assert len(requests) == 8
    assert requests[-1].range == f"bytes={sum(sizes)}-"


def test_any_byte_is_a_place_to_break(s3: FakeS3) -> None:
    """Also those of the mark of gzip, and the last one."""
    body = gzip.compress(write(track()).encode())
    stored = store(s3, body)
    for size in (0, 1, 2, *range(3, len(body), 10), len(body) - 1):
        s3.fail("GetObject", Cut(size))

        assert read_all(stored) == [track()]


def test_an_overload_is_waited_for(s3: FakeS3) -> None:
    """At the start and in the middle, for minutes."""
    stored = store(s3)
    storm = [OVERLOAD] * (len(NO_WAITS) - 1)
    s3.fail("GetObject", *storm, Cut(1_000), *storm, Cut(500))

    assert read_all(stored) == EVENTS


def test_a_lasting_overload_is_reported(s3: FakeS3) -> None:
    """The part that was read isn't taken for the whole."""
    stored = store(s3)
    s3.fail("GetObject", Cut(1_000), *[OVERLOAD] * 10)

    assert fail_to_read(stored) == "AWS is overloaded: run the command again later"


def test_lost_connections_are_reported(s3: FakeS3) -> None:
    """If none of the attempts gets any further."""
    stored = store(s3)
    s3.fail("GetObject", Cut(1_000), *[Cut(0)] * 10)

    assert "the connection to AWS was lost" in fail_to_read(stored)


@pytest.mark.parametrize("is_deleted", [True, False])
def test_an_object_that_changes_is_not_mixed(s3: FakeS3, is_deleted: bool) -> None:  # noqa: FBT001
    """The rest of another object could begin in the middle of an event."""
    body = random.Random(0).randbytes(1 << 20)
    stored = store(s3, body)
    with open_object(stored, NO_WAITS) as file:
        s3.fail("GetObject", Cut(1 << 19))
        assert file.read(500) == body[:500]
        if is_deleted:
            s3.delete(stored.bucket, stored.key)
        else:
            s3.put(stored.bucket, stored.key, body=body + b"1")

        with pytest.raises(InputError, match="changed or deleted since it was listed"):
            file.read()


@pytest.mark.parametrize(
    ("fault", "explanation"),
    [
        (
            Fault("403 Forbidden", "AccessDenied"),
            "the AWS credentials lack the permission s3:GetObject for the objects of",
        ),
        (
            Fault(
                "403 Forbidden",
                "AccessDenied",
                "not authorized to perform: kms:Decrypt on",
            ),
            "the AWS credentials lack the permission kms:Decrypt",
        ),
        (
            Fault("403 Forbidden", "InvalidObjectState"),
            "it is in an archive of S3: restore the object first",
        ),
    ],
)
def test_an_object_that_is_denied(s3: FakeS3, fault: Fault, explanation: str) -> None:
    """The message says what to do, and nothing is retried."""
    stored = store(s3)
    s3.fail("GetObject", fault)

    assert explanation in fail_to_read(stored)
    assert len(s3.find("GetObject")) == 1


def test_objects_of_a_bucket_in_another_region(s3: FakeS3) -> None:
    """It is followed there, once."""
    stored = store(s3)
    fault = Fault("301 Moved Permanently", "PermanentRedirect", region="eu-west-3")
    s3.fail("GetObject", fault)

    assert read_all(stored) == EVENTS
    assert read_all(stored) == EVENTS
    regions = [request.region for request in s3.find("GetObject")]
    assert regions == ["us-east-1", "eu-west-3", "eu-west-3"]
