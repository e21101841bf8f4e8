"""The body of the response: counts, the first errors, and the first test events.

Of an event, it has only the messageId; of a test event, also what the mapping makes of
it.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from segment_to_hyperline import tester
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.results import Result, count_billable_events

MAX_ERRORS = 10
# Segment's client hangs on large responses.
MAX_RESPONSE_BYTES = 4_000

_RARE_LABELS = {outcome.value.label for outcome in Outcome if outcome.value.rare}


class Report(NamedTuple):
    """The number of events by outcome, the first errors, the first test events.

    If an event is billed as several, *counts* also has the number of billable events.
    With a test event, *warnings* says what should be corrected in the secret.
    """

    counts: Mapping[str, int]
    errors: Sequence[Mapping[str, Any]]
    previews: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[str] = ()


def create_report(results: Sequence[Result], warnings: Sequence[str] = ()) -> Report:
    """Return the report on the *results* of a request; *warnings* are for testers."""
    previews = list(islice(tester.describe_tests(results), MAX_ERRORS))
    return Report(
        counts=count_outcomes(result.outcome for result in results)
        | describe_billable_events(results),
        errors=[
            {"message_id": result.message_id, "reason": result.reason}
            for result in islice((r for r in results if r.reason), MAX_ERRORS)
        ],
        previews=previews,
        warnings=warnings if previews else (),
    )


def report_rejection(reason: str) -> Report:
    """Return the report on a request that is rejected as a whole."""
    return Report(count_outcomes([]), [{"message_id": None, "reason": reason}])


def count_outcomes(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Return the number of events for each label of the outcomes, rare ones if any."""
    counts = Counter(outcome.value.label for outcome in outcomes)
    labels = dict.fromkeys(outcome.value.label for outcome in Outcome)
    return {n: counts[n] for n in labels if counts[n] or n not in _RARE_LABELS}


def describe_billable_events(results: Sequence[Result]) -> dict[str, int]:
    """Return the number of billable events, if it isn't that of the delivered ones."""
    delivered = sum(result.outcome is Outcome.DELIVERED for result in results)
    number = count_billable_events(results)
    return {"billable_events": number} if number != delivered else {}


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
