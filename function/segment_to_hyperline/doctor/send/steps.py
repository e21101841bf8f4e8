"""What a step of the test has found, and what to do about it."""

from typing import NamedTuple

from segment_to_hyperline.doctor.findings import Result


class Step(NamedTuple):
    """The result of a step."""

    result: Result
    name: str
    """What was checked, such as `response`."""
    evidence: str
    """What was found, without values of the event."""
    remedy: str = ""
    """What to do; empty if there is nothing to do."""
