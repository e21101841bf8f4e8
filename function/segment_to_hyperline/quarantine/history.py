"""What the log says about an event: each attempt to bill it."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from segment_to_hyperline.attributes import write_time
from segment_to_hyperline.quarantine.aws import Aws

NOT_LOGGED = (
    "unknown: the log has no line of it; a line with more than 50 events that were"
    " delivered or filtered lists only 10 messageIds"
)


class Attempt(NamedTuple):
    """A line of the log about an event."""

    at: str
    """When it was written, as an ISO 8601 time."""
    service: str
    """`receiver` or `replayer`."""
    outcome: str
    code: str
    reason: str


def read_attempts(
    aws: Aws, log_groups: Iterable[str], message_id: str, start: float
) -> list[Attempt]:
    """Return the attempts since the Unix timestamp *start*; raises `InputError`."""
    found: list[Attempt] = []
    for group in log_groups:
        lines = read_lines(aws, group, json.dumps(message_id), start)
        found += (a for line, at in lines for a in find_attempts(line, at, message_id))
    return sorted(found)


def read_lines(
    aws: Aws, log_group: str, pattern: str, start: float
) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the lines of a log that match *pattern*, and their times.

    Raises `InputError`.
    """
    arguments = {"filterPattern": pattern, "startTime": round(start * 1_000)}
    for event in aws.list(
        "logs", "FilterLogEvents", "events", logGroupName=log_group, **arguments
    ):
        try:
            line = json.loads(event["message"])
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line, write_time(event["timestamp"] / 1_000)


def find_attempts(line: dict[str, Any], at: str, message_id: str) -> Iterator[Attempt]:
    """Yield the attempts of an event in a *line* of the log."""
    for group in line.get("events", ()):
        if message_id in group.get("ids", "").split(" "):
            fields = (group.get(name) or "" for name in ("outcome", "code", "reason"))
            yield Attempt(at, line.get("service", ""), *fields)


def find_place(attempts: Iterable[Attempt], *, is_quarantined: bool) -> str:
    """Return where an event is, by the last of its *attempts*."""
    last = max(attempts, default=None)
    if is_quarantined:
        return "in Quarantine"
    if last is None:
        return NOT_LOGGED
    stays = last.outcome == "pending" and last.service == "replayer"
    if last.outcome == "parked" or stays:
        return f"probably in Replay: parked at {last.at}"
    places = {
        "delivered": f"delivered at {last.at}",
        "filtered": f"nowhere: filtered at {last.at}",
        "pending": f"in Segment, which retries: pending at {last.at}",
        "previewed": f"nowhere: previewed at {last.at}",
    }
    return places.get(last.outcome, f"moved or deleted since: quarantined at {last.at}")
