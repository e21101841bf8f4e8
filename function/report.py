"""Tell what became of events: for the answer, the log and the metrics alike.

Nothing of an event is told but its messageId.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

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
    """Return how many events ended in each way; throttled ones are pending."""
    outcomes = Counter(settlement.outcome for settlement in settlements)
    outcomes[Outcome.PENDING] += outcomes.pop(Outcome.THROTTLED, 0)
    return {str(outcome): outcomes[outcome] for outcome in COUNTED}


def describe(settlements: Sequence[Settlement]) -> list[dict[str, Any]]:
    """Return what is wrong with the first few events that have something wrong."""
    troubled = (settlement for settlement in settlements if settlement.reason)
    return [
        {"message_id": _message_id(settlement), "reason": settlement.reason}
        for settlement in islice(troubled, MAX_ERRORS)
    ]


def measure(metrics: Metrics, counts: Mapping[str, int]) -> None:
    """Add the *counts* to the invocation's set of metrics."""
    for name, value in counts.items():
        metrics.add_metric(name=name.title(), unit=MetricUnit.Count, value=value)


def _message_id(settlement: Settlement) -> str | None:
    match settlement.event.data:
        case {"messageId": str(value)}:
            return value[:MAX_MESSAGE_ID]
        case _:
            return None
