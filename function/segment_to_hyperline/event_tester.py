"""Segment's Event Tester: its events show what would be billed, and bill nobody.

A test event is posted to Hyperline's sandbox only. No revenue depends on it, so it is
never retried and never quarantined.
https://www.twilio.com/docs/segment/connections/test-connections
"""

from segment_to_hyperline.hyperline.facts import PRODUCTION
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.results import Result

_WITHHELD = "a test event is only sent with a sandbox key (test_…)"


def withhold_test(result: Result, environment: str) -> Result:
    """Return *result*, previewed if it is of a test event and can't be delivered.

    *result* is that of the mapping, and *environment* that of the API key.
    """
    is_withheld = result.outcome is Outcome.PENDING and environment == PRODUCTION
    if is_withheld and result.event.is_test and result.code is None:
        result = result._replace(code=Code.TEST_EVENT, reason=_WITHHELD)
        return preview_failed_test(result)
    return result


def preview_failed_test(result: Result) -> Result:
    """Return *result*, with the outcome `PREVIEWED` if a test event failed."""
    if result.outcome in {Outcome.DELIVERED, Outcome.FILTERED}:
        return result
    if not result.event.is_test:
        return result
    return result._replace(outcome=Outcome.PREVIEWED)
