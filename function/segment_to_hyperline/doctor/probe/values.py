"""Experiments with the values of a property, and with those of a time."""

from functools import partial
from typing import Any

from segment_to_hyperline.doctor.probe.experiment import Experiment
from segment_to_hyperline.doctor.probe.sandbox import Sandbox, Undecided
from segment_to_hyperline.doctor.probe.stored import Row

_PROPERTY = "value"
# As a double, it would be even.
_LARGE_INTEGER = 2**53 + 1
_DECIMAL = 1234.5678901234567
_MICROSECONDS = "123999"
_FRACTIONS = {"123": "rounded down", "124": "rounded", _MICROSECONDS: "kept"}


def find_value(sandbox: Sandbox, value: Any) -> str:
    """Post an event with a *value* that isn't among the documented ones."""
    row = _post_and_read(sandbox, {_PROPERTY: value})
    if row is None:
        return "rejected"
    record = row["record"]
    if _PROPERTY not in record:
        return "left out"
    if record[_PROPERTY] != value:
        raise Undecided("the event is stored with another value")
    return "accepted"


def find_number(sandbox: Sandbox, number: float) -> str:
    """Post an event with a *number* that has many digits."""
    row = _post_and_read(sandbox, {_PROPERTY: number})
    if row is None:
        return "rejected"
    found = row["record"].get(_PROPERTY)
    if type(found) not in {int, float}:
        raise Undecided("the number is read as something else")
    return "exact" if repr(found) == repr(number) else "rounded"


def find_microseconds(sandbox: Sandbox) -> str:
    """Post an event whose time has microseconds."""
    time = f"{sandbox.format_time()[: len('2026-01-31T09:00:00')]}.{_MICROSECONDS}Z"
    row = _post_and_read(sandbox, {}, timestamp=time)
    if row is None:
        return "rejected"
    # https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events
    _, _, fraction = str(row.get("timestamp")).rpartition(".")
    answer = _FRACTIONS.get(fraction.rstrip("0Z"))
    if answer is None:
        raise Undecided("the time is read as another one")
    return answer


def _post_and_read(
    sandbox: Sandbox, record: dict[str, Any], **changes: Any
) -> Row | None:
    """Return the row of an event with *record*, or None if it was rejected."""
    event = sandbox.create_event(record, **changes)
    if not sandbox.post(event).is_accepted:
        return None
    rows = sandbox.read_settled(event)
    if not rows or not isinstance(rows[0].get("record"), dict):
        raise Undecided("the event was accepted, and can't be read")
    return rows[0]


def _create(name: str, value: Any) -> Experiment:
    return Experiment(name, 3, partial(find_value, value=value))


VALUES = (
    _create("nested object", {"a": 1}),
    _create("null", None),
    _create("array of objects", [{"a": 1}]),
)
NUMBERS = (
    Experiment("microseconds", 3, find_microseconds),
    Experiment("large integers", 3, partial(find_number, number=_LARGE_INTEGER)),
    Experiment("decimals", 3, partial(find_number, number=_DECIMAL)),
)
