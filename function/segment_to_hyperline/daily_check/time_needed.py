"""Whether a day can be compared before Lambda ends the function."""

from segment_to_hyperline.errors import Error
from segment_to_hyperline.hyperline.facts import (
    MAX_PAGE_EVENTS,
    MAX_REQUESTS,
    MAX_REQUESTS_SECONDS,
)
from segment_to_hyperline.reconciliation.api.pace import CORE_LIMIT, find_interval

# For looking up differences, the report, and a sentence that says what went wrong. A
# request that hangs takes 40 seconds of it.
RESERVE_SECONDS = 60
# At the vendor's limit, a machine without a time limit compares so many a second.
MAX_EVENTS_PER_SECOND = MAX_REQUESTS * MAX_PAGE_EVENTS // MAX_REQUESTS_SECONDS


class TooManyEvents(Error):
    """Raised if a day can't be compared in the time that Lambda gives."""


def estimate_seconds(events: int, customers: int) -> float:
    """Return how long comparing takes at the default share of the rate limits."""
    pages = -(-events // MAX_PAGE_EVENTS)
    customer_pages = -(-customers // MAX_PAGE_EVENTS)
    return pages * find_interval(MAX_REQUESTS, MAX_REQUESTS) + (
        customer_pages * find_interval(CORE_LIMIT, CORE_LIMIT)
    )


def explain_too_many(number: str, command: str) -> str:
    """Return why a day with this *number* of events isn't compared, and what to do."""
    return (
        f"the day has {number} events, which is above what DailyCheck can compare in"
        " Lambda's 15 minutes. Run this on another machine, for example on Fargate or a"
        f" laptop, where it compares up to {MAX_EVENTS_PER_SECOND:,} events a second:"
        f" {command}"
    )
