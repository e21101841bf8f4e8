"""What a backfill will post and delete, in a file that can be read and repeated.

The file is NDJSON: a line with the hash of the others, a line about the whole, a line
for each item, and a line for each event that is put into the queue. It is complete
before the first request that changes something, so that after an interruption the same
plan can be carried out again.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.reconciliation.api.rows import Row, format_milliseconds
from segment_to_hyperline.reconciliation.header import Header, read_header
from segment_to_hyperline.text import LINE_LENGTH, align, cut, make_printable

VERSION = 1
DELETE, REPLACE, RESTORE = "delete", "replace", "restore"
POST, OVERWRITE, REPEAT = "post", "overwrite", "repeat"
# What is done, in this order, and with what.
ACTIONS = {
    DELETE: "what should not be billed",
    REPLACE: "events that are stored more than once",
    RESTORE: "right events under the same id, which a deletion removes too",
    POST: "what is missing",
    OVERWRITE: "what differs",
    REPEAT: "equal line items of the same events, which the queue sends too",
}
POSTS = frozenset((POST, OVERWRITE, REPEAT))
_MAX_LINES = 10


class Item(NamedTuple):
    """Something that is posted or deleted."""

    action: str
    """One of `ACTIONS`."""
    event_type: str
    record_id: str
    time: int
    """In milliseconds since 1970; of what is deleted, that of the row."""
    customer: str
    """As the mapping sends it, or Hyperline's id if that is unknown."""
    message_id: str
    """The event that it is from; empty for what is deleted."""
    body: str
    """The JSON of the billable event; empty for what is deleted."""
    found: list[Any]
    """What Hyperline had when the plan was made; see `describe_rows`."""


class LeftOut(NamedTuple):
    """Something that the plan doesn't change, and why."""

    event_type: str
    record_id: str
    reason: str


class Plan(NamedTuple):
    """What is posted and deleted."""

    header: Header
    """Where it is from."""
    event_types: Sequence[str]
    """All that are known: a deletion removes an id of any type."""
    customers: dict[str, str]
    """Hyperline's ids of the customers in it, as far as known."""
    items: list[Item]
    texts: dict[str, str]
    """By messageId, the JSON of the events as Segment sent them."""
    includes_old: bool = False
    """Whether it may change events whose invoice is closed."""
    left_out: Sequence[LeftOut] = ()
    """Not stored in the file."""

    def lines(self) -> Iterator[str]:
        """Yield the plan for people: where it is from, numbers, and the first items."""
        yield from align([*self.header.rows()], LINE_LENGTH)
        yield ""
        counts = Counter(item.action for item in self.items)
        rows = [
            (action, f"{counts[action]:,}", meaning)
            for action, meaning in ACTIONS.items()
            if counts[action]
        ]
        for reason, number in Counter(each.reason for each in self.left_out).items():
            rows.append(("left out", f"{number:,}", reason))
        if rows:
            yield from align(rows, LINE_LENGTH)
        else:
            yield "nothing to do"
        if self.items:
            yield ""
        for item in self.items[:_MAX_LINES]:
            yield cut(_format_item(item), LINE_LENGTH)
        if self.items[_MAX_LINES:]:
            yield f"and {len(self.items) - _MAX_LINES:,} more, all in the plan's file"


def describe_rows(rows: Sequence[Row]) -> list[Any]:
    """Return what is in *rows*, to see later whether they were changed."""
    content = [[row.time, row.customer, row.record] for row in rows]
    found: list[Any] = json.loads(json.dumps(content))
    return sorted(found, key=json.dumps)


def write_plan(plan: Plan, path: Path) -> None:
    """Write *plan* to a new file that only its owner can read; raise `InputError`."""
    text = _format(plan)
    try:
        # A part of it isn't taken for a plan, because of its hash.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(
            f"the plan can't be written to '{path}': {error.strerror}; choose another"
            " file with --plan"
        ) from error


def read_plan(path: Path) -> Plan:
    """Return the plan in a file; raises `InputError`."""
    try:
        plan = _parse(path.read_text("ascii"))
    except OSError as error:
        raise InputError(f"'{path}': {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        plan = None
    if plan is None:
        raise InputError(f"'{path}' isn't a complete plan: make it again with EVENTS")
    return plan


def _format(plan: Plan) -> str:
    """Return the content of a plan's file."""
    about = {
        "version": VERSION,
        "header": plan.header.to_json(),
        "event_types": list(plan.event_types),
        "customers": plan.customers,
        "includes_old": plan.includes_old,
        "items": len(plan.items),
        "events": len(plan.texts),
    }
    lines = [about, *(item._asdict() for item in plan.items)]
    lines += [{"message_id": name, "text": text} for name, text in plan.texts.items()]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return json.dumps({"sha256": _hash(text)}) + "\n" + text


def _parse(content: str) -> Plan | None:
    """Return the plan in the content of a file, or None if it isn't complete."""
    first, _, text = content.partition("\n")
    if json.loads(first)["sha256"] != _hash(text):
        return None
    about, *lines = map(json.loads, text.splitlines())
    if about["version"] != VERSION:
        return None
    number = about["items"]
    return Plan(
        read_header(about["header"]),
        about["event_types"],
        about["customers"],
        [Item(**line) for line in lines[:number]],
        {line["message_id"]: line["text"] for line in lines[number:]},
        about["includes_old"],
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _format_item(item: Item) -> str:
    time = format_milliseconds(item.time)
    names = map(make_printable, (item.event_type, item.record_id, item.customer))
    found = {row[0] for row in item.found} - {item.time, None}
    moved = "".join(f"  from {format_milliseconds(each)}" for each in sorted(found))
    return f"{item.action:<9}  {time}{moved}  {'  '.join(names)}"
