"""Where events are: files, folders, the standard input, and objects of S3."""

import gzip
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local_stack.segment_requests import write
from segment_to_hyperline.archive.captured import CapturedEvent
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.hashing import HashingReader
from segment_to_hyperline.archive.received_days import ReceivedDays
from segment_to_hyperline.archive.sources import (
    Part,
    Source,
    find_sources,
    open_source,
    read_items,
    read_sources,
    require_rereadable,
)
from tests.samples import track
from tests.segment_to_hyperline.archive.fake_s3 import FakeS3, Fault

DAY = 1_767_225_600_000  # 2026-01-01
COMMAND = (sys.executable, "-m", "segment_to_hyperline", "preview", "--summary")


def lines(*names: str) -> bytes:
    """Return an event with each of these ids."""
    return "".join(write(track(messageId=name)) + "\n" for name in names).encode()


def read(*names: str) -> list[str]:
    """Return the ids of the events in what *names* refer to."""
    return [
        item.captured.event.data["messageId"]
        for item in read_sources(find_sources(names))
        if isinstance(item.captured, CapturedEvent)
    ]


def test_files_and_objects_are_read_in_the_order_of_the_arguments(
    tmp_path: Path, s3: FakeS3
) -> None:
    """The later of two versions is in the later one."""
    bucket = s3.create_bucket()
    s3.put(bucket, "logs/2.gz", body=gzip.compress(lines("b", "c")))
    (tmp_path / "1").write_bytes(lines("d"))
    (tmp_path / "0").write_bytes(lines("a"))

    names = (str(tmp_path / "1"), f"s3://{bucket}/logs", str(tmp_path))

    assert read(*names) == ["d", "b", "c", "a"]


def test_each_source_is_read_once(
    tmp_path: Path, s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also under several names."""
    monkeypatch.chdir(tmp_path)
    bucket = s3.create_bucket()
    s3.put(bucket, "logs/1", body=lines("a"))
    Path("1").write_bytes(lines("b"))
    Path("link").symlink_to("1")

    names = ("1", str(tmp_path), "./1", "link", "-", "-")

    assert [source.name for source in find_sources(names)] == ["1", "-"]
    assert read(f"s3://{bucket}/logs", f"s3://{bucket}/logs/1") == ["a"]


def test_the_days_are_those_of_the_archive_in_s3(s3: FakeS3) -> None:
    """Files on the disk are all read, whenever they were received."""
    bucket = s3.create_bucket()
    for day in (DAY, DAY + 5 * 86_400_000):
        s3.put(bucket, f"segment-logs/source/{day}/1.gz")

    (found,) = find_sources([f"s3://{bucket}"], ReceivedDays.create(None, DAY))

    assert str(DAY) in found.name


def test_sizes_are_known_but_of_the_standard_input(tmp_path: Path, s3: FakeS3) -> None:
    """So that the share that was read can be shown."""
    bucket = s3.create_bucket()
    s3.put(bucket, "1", body=b"{}")
    (tmp_path / "1").write_bytes(b"{}\n")
    os.mkfifo(tmp_path / "pipe")
    names = (f"s3://{bucket}/1", *map(str, sorted(tmp_path.iterdir())), "-")

    found = find_sources(names)

    assert [source.size for source in found] == [2, 3, None, None]
    with pytest.raises(InputError, match="'-': is read twice, so it must be a file"):
        require_rereadable(found[:2] + found[3:])
    assert require_rereadable(found[:2]) == found[:2]


def test_sources_can_be_opened_by_another_process(tmp_path: Path, s3: FakeS3) -> None:
    """With what was found, and without listing the bucket again."""
    bucket = s3.create_bucket()
    s3.put(bucket, "1", body=lines("a"))
    (tmp_path / "1").write_bytes(lines("a"))
    found = find_sources([str(tmp_path / "1"), f"s3://{bucket}/1"])
    s3.requests.clear()

    for source in pickle.loads(pickle.dumps(found)):
        with open_source(source) as file:
            assert file.read() == lines("a")

    assert [request.operation for request in s3.requests] == ["GetObject"]


def test_the_standard_input_is_read() -> None:
    """Another program can write the events; its name in messages is <stdin>."""
    done = subprocess.run(
        (*COMMAND, "-"), input=lines("a", "b") + b"?", capture_output=True, check=False
    )

    assert b"3 events: 2 billed, 0 filtered, 0 quarantined, 1 unreadable" in done.stdout
    assert done.stderr.startswith(b"<stdin>:3: not JSON")


def test_a_command_reads_s3(s3: FakeS3) -> None:
    """As all commands that read events do."""
    bucket = s3.create_bucket()
    s3.put(bucket, "1", body=lines("a", "b") + b"?")

    done = subprocess.run(
        (*COMMAND, f"s3://{bucket}"), capture_output=True, check=False
    )

    assert b"3 events: 2 billed, 0 filtered, 0 quarantined, 1 unreadable" in done.stdout
    assert done.stderr.startswith(f"s3://{bucket}/1:3: not JSON".encode())


def test_files_need_no_library_of_aws(tmp_path: Path) -> None:
    """It takes half a second to import, and isn't needed."""
    (tmp_path / "1").write_bytes(lines("a"))
    code = (
        "import sys; from segment_to_hyperline.cli.main import cli\n"
        "try: cli(sys.argv[1:])\n"
        "finally: print('boto3' in sys.modules)"
    )

    for arguments in (["--help"], ["preview", str(tmp_path)]):
        done = subprocess.run(
            (sys.executable, "-c", code, *arguments), capture_output=True, check=True
        )
        assert done.stdout.endswith(b"False\n")


def test_a_file_that_disappears_is_an_error(tmp_path: Path) -> None:
    """Its name and the reason are in one line."""
    (tmp_path / "1").write_bytes(lines("a"))
    found = find_sources([str(tmp_path / "1")])
    (tmp_path / "1").unlink()

    with pytest.raises(InputError, match=r"1': No such file or directory$"):
        list(read_sources(found))


def test_a_file_that_can_not_be_read_is_an_error() -> None:
    """As a disk can break, here in the form of a process's memory."""
    source = Source("/proc/self/mem", None)

    with pytest.raises(InputError, match="'/proc/self/mem': Input/output error"):
        list(read_sources([source]))


def test_an_object_that_can_not_be_read_is_an_error(s3: FakeS3) -> None:
    """The events before it aren't taken for all."""
    bucket = s3.create_bucket()
    s3.put(bucket, "1", "2", body=lines("a"))
    s3.fail("GetObject", None, Fault("403 Forbidden", "AccessDenied"))

    with pytest.raises(InputError, match="lack the permission s3:GetObject"):
        read(f"s3://{bucket}")


def test_each_event_is_in_one_part(tmp_path: Path) -> None:
    """Its number is the same in all parts, and increases with the position."""
    names = [f"m-{number}" for number in range(2_000)]
    (tmp_path / "1.gz").write_bytes(gzip.compress(lines(*names)))
    (source,) = find_sources([str(tmp_path / "1.gz")])

    def read_part(part: Part) -> dict[int, Any]:
        with open_source(source) as file:
            items = read_items(source.name, file, part)
            return {item.number: item.captured for item in items}

    whole = read_part(Part(0, 1))
    parts = [read_part(Part(first, 3)) for first in range(3)]

    assert list(whole) == sorted(whole)
    assert len(whole) == 2_000
    assert max(whole) < len(lines(*names))
    assert all(len(part) > 200 for part in parts)
    assert {n: item for part in parts for n, item in part.items()} == whole
    assert sum(map(len, parts)) == 2_000


def test_the_hash_is_that_of_all_bytes(tmp_path: Path) -> None:
    """Also if a reader stops before the end, as at the end of gzip's data."""
    data = bytes(range(256)) * 4_000
    (tmp_path / "1").write_bytes(data)
    reader = HashingReader(io.BufferedReader(io.FileIO(tmp_path / "1")))
    with reader:
        assert reader.read(10) == data[:10]
        assert reader.size == 10
        assert reader.finish() == hashlib.sha256(data).hexdigest()
        assert reader.size == len(data)


def test_arrays_are_read_from_s3(s3: FakeS3) -> None:
    """Not only lines, and not only Segment's archive."""
    bucket = s3.create_bucket()
    s3.put(bucket, "a/1.json", body=json.dumps([track(messageId="a")]).encode())

    assert read(f"s3://{bucket}/a/1.json") == ["a"]
