"""What a step of the test has found, and what to do about it."""

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """Whether a step found what it should."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """It could not be found out."""


class Step(NamedTuple):
    """The result of a step."""

    state: State
    name: str
    """What was checked, such as `response`."""
    evidence: str
    """What was found, without values of the event."""
    remedy: str = ""
    """What to do; empty if there is nothing to do."""
