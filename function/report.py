"""Tell what became of events: for the answer, the log and the metrics alike.

Nothing of an event is told but its messageId, and only to Segment what the mapping
makes of an event that its Event Tester made up.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

import payload
from settlement import Outcome, Settlement

NAMESPACE = "SegmentToHyperline"
COUNTED = (
    Outcome.DELIVERED,
    Outcome.FILTERED,
    Outcome.QUARANTINED,
    Outcome.PENDING,
)
MAX_ERRORS = 10
# The longest messageId that Segment makes.
MAX_MESSAGE_ID = 100


def count(settlements: Sequence[Settlement]) -> dict[str, int]:
    """Return how many events ended in each way; throttled ones are pending.

    Only what a call with test events leads to can be absent.
    """
    outcomes = Counter(settlement.outcome for settlement in settlements)
    outcomes[Outcome.PENDING] += outcomes.pop(Outcome.THROTTLED, 0)
    return {
        str(outcome): outcomes[outcome]
        for outcome in (*COUNTED, Outcome.PREVIEWED)
        if outcome in COUNTED or outcomes[outcome]
    }


def describe(settlements: Sequence[Settlement]) -> list[dict[str, Any]]:
    """Return what is wrong with the first few events that have something wrong."""
    troubled = (settlement for settlement in settlements if settlement.reason)
    return [
        {"message_id": _message_id(settlement), "reason": settlement.reason}
        for settlement in islice(troubled, MAX_ERRORS)
    ]


def preview(settlements: Sequence[Settlement]) -> list[dict[str, Any]]:
    """Return what the mapping makes of the first few test events; not for the log."""
    tests = (
        s for s in settlements if payload.is_test(payload.message_id(s.event.data))
    )
    return [
        {
            "message_id": _message_id(test),
            "outcome": test.outcome,
            "billable_event": test.billable and json.loads(test.billable.json),
        }
        for test in islice(tests, MAX_ERRORS)
    ]


def measure(metrics: Metrics, counts: Mapping[str, int]) -> None:
    """Add the *counts* to the invocation's set of metrics."""
    for name, value in counts.items():
        metrics.add_metric(name=name.title(), unit=MetricUnit.Count, value=value)


def _message_id(settlement: Settlement) -> str | None:
    message_id = payload.message_id(settlement.event.data)
    return message_id and message_id[:MAX_MESSAGE_ID]
