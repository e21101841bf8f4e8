"""Segment's Event Tester: its events show what would be billed, and bill nobody.

A test event is posted to Hyperline's sandbox only. No revenue depends on it, so it is
never retried and never quarantined.
https://www.twilio.com/docs/segment/connections/test-connections
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from segment_to_hyperline.hyperline.billable_event import BillableEvent, Key
from segment_to_hyperline.outcomes import Failure, Outcome
from segment_to_hyperline.results import Result
from segment_to_hyperline.segment.events import is_test_id

_WITHHELD = Failure(
    Outcome.PREVIEWED, "a test event is only sent with a sandbox key (test_…)"
)


def withhold_tests(
    events: Iterable[BillableEvent], *, is_sandbox: bool
) -> dict[Key, Failure]:
    """Return a failure for each test event, unless they are sent to the sandbox."""
    if is_sandbox:
        return {}
    return {e.key: _WITHHELD for e in events if is_test_id(e.key.record_id)}


def preview_failed_test(result: Result) -> Result:
    """Return *result*, with the outcome `PREVIEWED` if a test event failed."""
    if result.outcome in {Outcome.DELIVERED, Outcome.FILTERED}:
        return result
    if not result.event.is_test:
        return result
    return result._replace(outcome=Outcome.PREVIEWED)


def describe_tests(results: Iterable[Result]) -> Iterator[dict[str, Any]]:
    """Yield what would be billed for each test event; this must not be logged."""
    for result in results:
        if result.event.is_test:
            yield {
                "message_id": result.message_id,
                "outcome": result.outcome.value.label,
                "billable_events": [
                    json.loads(billable.json) for billable in result.billable_events
                ],
            }
