"""Events to bill, and what became of them."""

from collections.abc import Callable
from typing import Any

from click.testing import Result

from local_stack.fake_hyperline import FakeHyperline
from receiver import RULES
from segment_to_hyperline.mapping.apply import apply_rules
from tests.clock import ago
from tests.samples import track

type Backfill = Callable[..., Result]

HOUR = 60 * 60
DAY = 24 * HOUR


def event(number: int, seconds: float = HOUR, **changes: Any) -> dict[str, Any]:
    """Return the event with this number, which is *seconds* old."""
    return track(messageId=f"m-{number}", timestamp=ago(seconds), **changes)


RECENT = [event(number) for number in range(4)]
OLD = event(9, 4 * DAY)


def bill(hyperline: FakeHyperline, *events: dict[str, Any]) -> None:
    """Store what the mapping makes of *events*."""
    for each in events:
        for billable in apply_rules(RULES, each):
            hyperline.store[billable.key.event_type, billable.key.record_id] = (
                billable.json
            )
    hyperline.rows.forget()


def count_done(result: Result) -> dict[tuple[str, str], int]:
    """Return what became of the items of a plan, and of how many."""
    rows = [line.split() for line in result.stdout.rpartition("\n\n")[2].splitlines()]
    counts = [row for row in rows if len(row) > 2 and row[-1].isdecimal()]
    return {(" ".join(row[:-2]), row[-2]): int(row[-1]) for row in counts}


def read_plan(result: Result) -> list[str]:
    """Return the lines of a plan, without those that say where it is from."""
    return str(result.stdout).partition("\n\n")[2].splitlines()


def ids(hyperline: FakeHyperline) -> set[str]:
    """Return the ids of the events that Hyperline stored."""
    return {record_id for _, record_id in hyperline.store}
