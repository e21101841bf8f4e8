"""The file of a plan: complete, private, and never another one."""

import hashlib
import json
import stat
from pathlib import Path

import pytest

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.reconciliation.plan import (
    ACTIONS,
    Item,
    LeftOut,
    Plan,
    read_plan,
    write_plan,
)
from tests.segment_to_hyperline.reconciliation.corrections import HEADER

# The lines before the plan itself.
HEADERS = 8
ITEMS = [
    Item(
        action,
        "Seats Added",
        f"m-{number}\u2028",
        1_767_225_600_000 + number,
        "customer ü",
        f"m-{number}",
        '{"a":1}',
        [[1, "cus_1", {"seats": 1.5, "id": "x"}]],
    )
    for number, action in enumerate(ACTIONS)
]
PLAN = Plan(HEADER, ["Seats Added"], {"customer": "cus_1"}, ITEMS, {"m": "{}"})


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Whatever characters it has; only its owner can read the file."""
    path = tmp_path / "plan.ndjson"

    write_plan(PLAN, path)

    assert read_plan(path) == PLAN
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    """It could be a plan that is not finished."""
    path = tmp_path / "plan.ndjson"
    path.write_text("other")

    with pytest.raises(InputError, match="File exists; choose another file"):
        write_plan(PLAN, path)

    assert path.read_text() == "other"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    """With what to do."""
    with pytest.raises(InputError, match="No such file or directory; choose"):
        write_plan(PLAN, tmp_path / "none" / "plan.ndjson")


def test_a_part_of_a_plan_is_none(tmp_path: Path) -> None:
    """Nor is one that was changed: something else would be billed than was shown."""
    path = tmp_path / "plan.ndjson"
    write_plan(PLAN, path)
    text = path.read_text()
    lines = text.splitlines(keepends=True)

    parts = ["".join(lines[:number]) for number in range(len(lines))]
    parts += [
        text[:-10],
        text[: len(text) // 2],
        text + "{}\n",
        text.replace('"post"', '"x"'),
        text.replace("Seats Added", "Seats"),
        "[" * 100_000,
    ]
    parts += [
        text.replace('"version": 1', '"version": 2'),
        "[]",
        "{}",
        "\u2028",
        "null\n",
    ]
    for part in parts:
        path.write_text(part)
        with pytest.raises(InputError, match="isn't a complete plan: make it again"):
            read_plan(path)


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    """In one line."""
    with pytest.raises(InputError, match=": Is a directory"):
        read_plan(tmp_path)


def test_the_plan_for_people_has_numbers_and_the_first_items() -> None:
    """Each line fits a terminal; the file has the rest."""
    many = PLAN._replace(
        items=[ITEMS[0]._replace(record_id="x" * 100)] * 12,
        left_out=[LeftOut("a", "b", "it is old")] * 3,
    )

    header, lines = list(many.lines())[:HEADERS], list(many.lines())[HEADERS:]

    assert header[0] == "Hyperline  host (sandbox)"
    assert header[-1] == ""
    assert lines[0].split()[:2] == ["delete", "12"]
    assert lines[1].split() == ["left", "out", "3", "it", "is", "old"]
    assert len(lines) == 2 + 1 + 10 + 1
    assert lines[-1] == "and 2 more, all in the plan's file"
    assert max(map(len, lines)) == 80
    empty = list(PLAN._replace(items=[]).lines())
    assert empty == [*header, "nothing to do"]
    actions = [line.split()[0] for line in list(PLAN.lines())[HEADERS:] if line]
    assert actions[: len(ACTIONS)] == list(ACTIONS)


def test_the_file_is_ndjson(tmp_path: Path) -> None:
    """People can search it and count lines."""
    path = tmp_path / "plan.ndjson"
    write_plan(PLAN, path)

    digest, first, *lines = map(json.loads, path.read_text().splitlines())

    assert list(digest) == ["sha256"]
    assert (first["items"], first["events"]) == (len(ITEMS), 1)
    assert [line["action"] for line in lines[:-1]] == list(ACTIONS)
    assert lines[-1] == {"message_id": "m", "text": "{}"}


def test_the_plan_shows_from_when_an_event_is_moved() -> None:
    """Another month then has less."""
    item = ITEMS[0]._replace(
        time=1_769_904_000_000, found=[[1_767_225_600_000, "cus_1", {}]]
    )

    lines = list(PLAN._replace(items=[item]).lines())

    moved = "2026-02-01T00:00:00.000Z  from 2026-01-01T00:00:00.000Z"
    assert lines[-1].startswith(f"{item.action:<9}  {moved}")


def test_a_plan_of_another_version_is_none(tmp_path: Path) -> None:
    """Its lines can mean something else."""
    path = tmp_path / "plan.ndjson"
    write_plan(PLAN, path)
    text = path.read_text().partition("\n")[2].replace('"version": 1', '"version": 2')
    digest = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps({"sha256": digest}) + "\n" + text)

    with pytest.raises(InputError, match="isn't a complete plan: make it again"):
        read_plan(path)
