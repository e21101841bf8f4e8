"""Report results in the response, the log and the metrics.

Of an event, only its messageId is reported. What the mapping makes of a test event is
also in the response, and not in the log.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forwarder import tester
from forwarder.outcomes import Outcome
from forwarder.results import Result

NAMESPACE = "SegmentToHyperline"
# Counts requests for which a cached secret was used, because it can't be read.
STALE_SECRET = "StaleSecret"  # noqa: S105 - the name of a metric
MAX_ERRORS = 10
# Segment's client hangs on large responses.
MAX_RESPONSE_BYTES = 4_000

_RARE_LABELS = {outcome.value.label for outcome in Outcome if outcome.value.rare}


class Report(NamedTuple):
    """The number of events by outcome, the first errors, the first test events."""

    counts: Mapping[str, int]
    errors: Sequence[Mapping[str, Any]]
    previews: Sequence[Mapping[str, Any]] = ()
    warning: str = ""


def create_report(results: Iterable[Result], warning: str = "") -> Report:
    """Return the report on the *results* of a request or of messages."""
    results = list(results)
    return Report(
        counts=count_outcomes(result.outcome for result in results),
        errors=[
            {"message_id": result.message_id, "reason": result.reason}
            for result in islice((r for r in results if r.reason), MAX_ERRORS)
        ],
        previews=list(islice(tester.describe_tests(results), MAX_ERRORS)),
        warning=warning,
    )


def report_rejection(reason: str) -> Report:
    """Return the report on a request or a message that is rejected as a whole."""
    return Report(count_outcomes([]), [{"message_id": None, "reason": reason}])


def log_fields(report: Report) -> dict[str, Any]:
    """Return the fields of *report* for the log."""
    fields: dict[str, Any] = {**report.counts, "errors": report.errors}
    return fields | {"warning": report.warning} if report.warning else fields


def to_log_line(content: dict[str, Any]) -> str:
    """Return *content* as JSON in ASCII, because a messageId can be any text."""
    return json.dumps(content, default=str, separators=(",", ":"))


def count_outcomes(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Return the number of events for each label of the outcomes, rare ones if any."""
    counts = Counter(outcome.value.label for outcome in outcomes)
    labels = dict.fromkeys(outcome.value.label for outcome in Outcome)
    return {n: counts[n] for n in labels if counts[n] or n not in _RARE_LABELS}


def add_metrics(metrics: Metrics, report: Report, *others: str) -> None:
    """Add the counts of *report* to the metrics, and 1 for each of the *others*."""
    counts = {label.title(): value for label, value in report.counts.items()}
    for name, value in (counts | dict.fromkeys(others, 1)).items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def write_body(report: Report) -> str:
    """Return the JSON of the response, with as much as fits `MAX_RESPONSE_BYTES`."""
    content: dict[str, Any] = {**report.counts, "errors": report.errors}
    if report.previews:
        content["preview"] = report.previews
    body = json.dumps(content)
    if len(body) <= MAX_RESPONSE_BYTES:
        return body
    if len(json.dumps(report.errors)) > len(json.dumps(report.previews)):
        return write_body(report._replace(errors=report.errors[:-1]))
    return write_body(report._replace(previews=report.previews[:-1]))
