"""How the fake of Hyperline behaves where the documentation leaves it open.

The names and answers are those of `segment_to_hyperline.hyperline.assumptions`, and
the first answer is the default.
"""

from collections.abc import Mapping
from math import inf
from typing import Any

_VALUES = ("rejected", "accepted", "left out")
_REPEATED = ("replaced", "the first one stays", "rejected", "stored twice")
_NUMBERS = ("exact", "rounded", "rejected")
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "paths": ("v1 and v2", "v1", "v2", "neither"),
    "rate limit headers": ("X-RateLimit", "none"),
    "key without scope": ("403", "401", "404"),
    "unknown customer": (
        *("400 or 422", "403", "404, 409 or 410", "another 4xx", "listed as failed"),
        *("a customer is created", "stored without a customer", "not stored"),
    ),
    "response to an event": ("empty", "an object", "something else"),
    "response to a batch": (
        *("events_created", "events_accepted", "empty", "not at all"),
        "something else",
    ),
    "two event types": ("rejected", "accepted", "listed as failed"),
    "bad event in a batch": (
        *("the batch is rejected", "the others are stored"),
        *("listed as failed", "left out"),
    ),
    "repeated id": _REPEATED,
    "older timestamp": _REPEATED,
    "nested object": _VALUES,
    "null": _VALUES,
    "array of objects": _VALUES,
    "largest body": (
        *("at least 4 MB", "at least 1 MB", "at least 250 KB", "less than 250 KB"),
    ),
    "delay": ("within 5 seconds", "within a minute", "later"),
    "equal times": ("in the same order", "in another order"),
    "microseconds": ("rounded down", "rounded", "kept", "rejected"),
    "large integers": _NUMBERS,
    "decimals": _NUMBERS,
}

# The answers that are a number here.
UNKNOWN_CUSTOMER = {
    "400 or 422": 400,
    "403": 403,
    "404, 409 or 410": 404,
    "another 4xx": 402,
}
LARGEST_BODY = {
    "at least 4 MB": inf,
    "at least 1 MB": 2_000_000,
    "at least 250 KB": 500_000,
    "less than 250 KB": 100_000,
}
DELAY_SECONDS = {"within 5 seconds": 0, "within a minute": 30, "later": 3_600}
# Every integer up to this one is exact in JavaScript.
_LARGEST_EXACT = 2**53
_SAFE_DIGITS = 15

type Behaviour = dict[str, str]


def create_behaviour() -> Behaviour:
    """Return the default answer to each question."""
    return {name: answers[0] for name, answers in ANSWERS.items()}


def find_problem(behaviour: Behaviour, event: Mapping[str, Any]) -> str | None:
    """Return why an *event* with the documented fields is rejected, or None."""
    for name, value in event["record"].items():
        if behaviour.get(_classify(value)) == "rejected":
            return f"record.{name} has a value of a type not allowed"
    is_exact = behaviour["microseconds"] != "rejected"
    return None if is_exact or not _has_microseconds(event) else "timestamp is invalid"


def change(behaviour: Behaviour, event: dict[str, Any]) -> dict[str, Any]:
    """Return an accepted *event* as it is stored."""
    record = {
        name: _change_value(behaviour, value)
        for name, value in event["record"].items()
        if behaviour.get(_classify(value)) != "left out"
    }
    return event | {"record": record}


def _change_value(behaviour: Behaviour, value: Any) -> Any:
    if behaviour.get(_classify(value)) != "rounded":
        return value
    if isinstance(value, int):
        return int(float(value))
    return float(f"{value:.{_SAFE_DIGITS}g}")


def _classify(value: Any) -> str:
    """Return which question is about *value*, if any."""
    match value:
        case None:
            return "null"
        case dict():
            return "nested object"
        case list() if not all(isinstance(item, str | int | float) for item in value):
            return "array of objects"
        case int() if abs(value) > _LARGEST_EXACT:
            return "large integers"
        case float() if float(f"{value:.{_SAFE_DIGITS}g}") != value:
            return "decimals"
        case _:
            return ""


def _has_microseconds(event: Mapping[str, Any]) -> bool:
    _, _, fraction = str(event["timestamp"]).partition(".")
    return len(fraction.rstrip("Z")) > len("999")
