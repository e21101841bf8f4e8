"""What a check has found: the lines of the checklist."""

from enum import StrEnum
from typing import NamedTuple

from segment_to_hyperline.errors import Error


class Result(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    """It works, and somebody should know about it."""
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """It could not be found out."""


class Finding(NamedTuple):
    """A line of the checklist."""

    result: Result
    evidence: str
    """What was found."""
    remedy: str = ""
    """What to do, or how to find out; empty if there is nothing to do."""


class Unread(Error):
    """Raised if something can't be read; *result* says what that means.

    *code* is AWS's code for the error, if AWS responded. All checks that need the same
    thing raise the same object.
    """

    def __init__(
        self,
        evidence: str,
        remedy: str = "",
        result: Result = Result.WRONG,
        code: str = "",
    ) -> None:
        super().__init__(evidence)
        self.finding = Finding(result, evidence, remedy)
        self.code = code


def accept(evidence: str) -> Finding:
    """Return that all is well."""
    return Finding(Result.OK, evidence)


def warn(evidence: str, remedy: str) -> Finding:
    """Return that somebody should know about it."""
    return Finding(Result.WARNING, evidence, remedy)


def reject(evidence: str, remedy: str) -> Finding:
    """Return that something is wrong."""
    return Finding(Result.WRONG, evidence, remedy)


def doubt(evidence: str, remedy: str) -> Finding:
    """Return that something isn't known."""
    return Finding(Result.UNKNOWN, evidence, remedy)


def split(message: str) -> tuple[str, str]:
    """Return what is wrong and what to do, of a *message* with both."""
    evidence, _, remedy = message.rpartition(": ")
    return (evidence, remedy) if evidence else (remedy, "")
