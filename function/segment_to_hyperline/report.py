"""The body of the response: counts, the first errors, and the first test events.

An event is only named by its messageId. For a test event, the body also has what the
mapping makes of it.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.results import Result, describe_billable_events

MAX_ERRORS = 10
# Segment's client hangs on large responses.
MAX_RESPONSE_BYTES = 4_000

_LABELS = [outcome.value.label for outcome in Outcome]
_RARE_LABELS = {outcome.value.label for outcome in Outcome if outcome.value.is_rare}


class Report(NamedTuple):
    """What the response says."""

    counts: Mapping[str, int]
    """The number of events by outcome, and of billable events if that differs."""
    errors: Sequence[Mapping[str, Any]]
    """The messageId, the code and the reason of the first events with a reason."""
    previews: Sequence[Mapping[str, Any]] = ()
    """What would be billed for the first test events."""
    warnings: Sequence[str] = ()
    """What should be corrected in the secret; only for test events."""


def create_report(results: Sequence[Result], warnings: Sequence[str] = ()) -> Report:
    """Return the report on the *results* of a request; *warnings* are for testers."""
    previews = list(islice(_describe_tests(results), MAX_ERRORS))
    return Report(
        counts=count_outcomes(result.outcome for result in results)
        | describe_billable_events(results),
        errors=[
            _describe_error(result.message_id, result.code, result.reason)
            for result in islice((r for r in results if r.reason), MAX_ERRORS)
        ],
        previews=previews,
        warnings=warnings if previews else (),
    )


def report_rejection(code: Code, reason: str) -> Report:
    """Return the report on a request that is rejected as a whole."""
    return Report(count_outcomes([]), [_describe_error(None, code, reason)])


def count_outcomes(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Return the number of events for each label of the outcomes, rare ones if any."""
    counts = dict.fromkeys(_LABELS, 0)
    for outcome, count in Counter(outcomes).items():
        counts[outcome.value.label] += count
    return {n: count for n, count in counts.items() if count or n not in _RARE_LABELS}


def write_body(report: Report) -> str:
    """Return the JSON of the response, with as much as fits `MAX_RESPONSE_BYTES`."""
    content: dict[str, Any] = {**report.counts, "errors": report.errors}
    if report.warnings:
        content["warnings"] = report.warnings
    if report.previews:
        content["preview"] = report.previews
    body = json.dumps(content)
    if len(body) <= MAX_RESPONSE_BYTES:
        return body
    if len(json.dumps(report.errors)) > len(json.dumps(report.previews)):
        return write_body(report._replace(errors=report.errors[:-1]))
    return write_body(report._replace(previews=report.previews[:-1]))


def _describe_error(
    message_id: str | None, code: Code | None, reason: str
) -> dict[str, str | None]:
    return {"message_id": message_id, "code": code, "reason": reason}


def _describe_tests(results: Iterable[Result]) -> Iterator[dict[str, Any]]:
    """Yield what would be billed for each test event; this must not be logged."""
    for result in results:
        if result.event.is_test:
            yield {
                "message_id": result.message_id,
                "outcome": result.outcome.value.label,
                "billable_events": [
                    billable.fields() for billable in result.billable_events
                ],
            }
