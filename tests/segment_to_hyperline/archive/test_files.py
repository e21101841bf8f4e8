"""Reading events from files, folders and compressed files."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local_stack.segment_requests import write
from segment_to_hyperline.archive.captured import CapturedEvent
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.sources import find_sources, read_sources
from tests.samples import track

ONE, TWO, THREE = (track(messageId=name) for name in ("one", "two", "three"))


def read(*paths: Path) -> list[Any]:
    """Return each event, or the reason why a line can't be read."""
    names = find_sources([str(path) for path in paths])
    return [
        item.event.data if isinstance(item, CapturedEvent) else item.reason
        for _, item, _ in read_sources(names)
    ]


def test_a_folder_is_all_its_files_in_order(tmp_path: Path) -> None:
    """Hidden files are left out, because tools leave them behind."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b/2.ndjson").write_text(write(TWO))
    (tmp_path / "a.gz").write_bytes(gzip.compress(write(ONE).encode()))
    (tmp_path / "c.json").write_text(json.dumps([THREE]))
    (tmp_path / ".DS_Store").write_bytes(b"\0\1")

    assert read(tmp_path) == [ONE, TWO, THREE]
    assert read(tmp_path / "c.json", tmp_path) == [THREE, ONE, TWO]


def test_links_are_followed_once(tmp_path: Path) -> None:
    """Also if one leads to the folder that contains it."""
    (tmp_path / "day").mkdir()
    (tmp_path / "day/1.ndjson").write_text(write(ONE))
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/link").symlink_to(tmp_path / "day")
    (tmp_path / "archive/loop").symlink_to(tmp_path / "archive")

    assert read(tmp_path / "archive") == [ONE]


def test_a_compressed_file_can_have_several_parts(tmp_path: Path) -> None:
    """`cat a.gz b.gz` is a valid file."""
    path = tmp_path / "both.gz"
    path.write_bytes(
        b"".join(gzip.compress(f"{write(e)}\n".encode()) for e in (ONE, TWO))
    )

    assert read(path) == [ONE, TWO]


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_file_is_reported_after_its_events(
    tmp_path: Path, damage: str
) -> None:
    """The events before the damage are read, and nobody takes the file for complete."""
    lines = "".join(write(track(messageId=f"m-{n}")) + "\n" for n in range(5_000))
    content = bytearray(gzip.compress(lines.encode()))
    if damage == "cut":
        del content[len(content) // 2 :]
    else:
        content[-6] ^= 255  # a part of the checksum
    path = tmp_path / "1.gz"
    path.write_bytes(content)

    *events, last = read(path)

    assert last.startswith(f"{path}:")
    assert "the gzip data is damaged or truncated, and the rest of the file" in last
    assert len([e for e in events if isinstance(e, dict)]) > 2_000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"Messages": [{"Body": "{}"}]}, 'not {"reason": str, "events"'),
        ({"Messages": [5]}, "a message of a queue"),
        ({"MessageId": "1", "Body": 5}, "a message of a queue"),
        ({"MessageId": "1", "Body": "nonsense"}, "a message of a queue: not JSON"),
    ],
)
def test_another_message_is_unreadable(
    tmp_path: Path, content: Any, reason: str
) -> None:
    """It is not taken for an event."""
    path = tmp_path / "messages.json"
    path.write_text(json.dumps(content))

    (shown,) = read(path)

    assert reason in shown


def test_a_message_with_a_deeply_nested_event_is_read(tmp_path: Path) -> None:
    """Also if the message is a line of a file, as a person may have saved it."""
    deep = write(ONE).replace('"seats":3', '"seats":' + "[" * 12_000 + "]" * 12_000)
    body = f'{{"reason": "no", "events": [{write(TWO)}, {deep}]}}'
    (tmp_path / "1.json").write_text(json.dumps({"Messages": [{"Body": body}]}))
    (tmp_path / "2.ndjson").write_text(body)

    for path in tmp_path.iterdir():
        event, data = read(path)
        assert event == TWO
        assert data.fields["messageId"] == "one"


def test_missing_files_and_empty_folders_are_errors(tmp_path: Path) -> None:
    """Otherwise a typing mistake would look like a day without events."""
    with pytest.raises(InputError, match="No such file or directory"):
        find_sources([str(tmp_path / "none")])
    with pytest.raises(InputError, match="The folder has no files"):
        find_sources([str(tmp_path)])


def test_a_preview_reads_an_archive_and_can_print_only_totals(tmp_path: Path) -> None:
    """A million events would be 80 MB of lines."""
    (tmp_path / "1.gz").write_bytes(
        gzip.compress(f"{write(ONE)}\n{write(TWO)}".encode())
    )
    command = [
        sys.executable,
        "-m",
        "segment_to_hyperline",
        "preview",
        str(tmp_path),
        "--summary",
    ]

    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ, check=True, timeout=60
    )

    assert done.stdout.splitlines() == [
        *("", "2 events: 2 billed, 0 filtered, 0 quarantined, 0 unreadable", ""),
        "Seats Added  customer-42  2 events  seats 6",
    ]
