"""All checks, in the order in which their lines are printed."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from segment_to_hyperline.doctor.checks import (
    aws,
    customers,
    hyperline,
    mapping,
    secret,
)
from segment_to_hyperline.doctor.findings import Finding, Result, Unread
from segment_to_hyperline.doctor.installation import Installation


class Check(NamedTuple):
    """A check."""

    group: str
    """What it is about, as a heading."""
    name: str
    find: Callable[[Installation], Iterator[Finding]]


CHECKS = (
    Check("AWS", "credentials", aws.check_credentials),
    Check("AWS", "stack", aws.check_stack),
    Check("AWS", "version", aws.check_version),
    Check("AWS", "functions", aws.check_functions),
    Check("AWS", "deployed mapping", aws.check_deployed_mapping),
    Check("AWS", "event source", aws.check_event_source),
    Check("AWS", "queues", aws.check_queues),
    Check("AWS", "alarm topic", aws.check_topic),
    Check("AWS", "alarms", aws.check_alarms),
    Check("AWS", "logs", aws.check_logs),
    Check("AWS", "concurrency", aws.check_concurrency),
    Check("Secret", "secret", secret.check_secret),
    Check("Secret", "API key", secret.check_api_key),
    Check("Secret", "shared secret", secret.check_shared_secret),
    Check("Secret", "bearer token", secret.check_bearer_token),
    Check("Hyperline", "ingestion API", hyperline.check_ingestion),
    Check("Hyperline", "core API", hyperline.check_core),
    Check("Hyperline", "clock", hyperline.check_clock),
    Check("Hyperline", "invoicing", hyperline.check_entities),
    Check("Hyperline", "aggregators", hyperline.check_aggregators),
    Check("Hyperline", "products", hyperline.check_products),
    Check("Hyperline", "subscriptions", hyperline.check_subscriptions),
    Check("Mapping", "examples", mapping.check_examples),
    Check("Mapping", "event types", mapping.check_event_types),
    Check("Mapping", "sums", mapping.check_sums),
    Check("Mapping", "negative values", mapping.check_negative),
    Check("Mapping", "filters", mapping.check_filters),
    Check("Mapping", "unused aggregators", mapping.check_unfed),
    Check("Mapping", "invoiced", mapping.check_invoiced),
    Check("Customers", "existence", customers.check_customers),
    Check("Customers", "subscribed", customers.check_subscribed),
)


class Line(NamedTuple):
    """A line of the checklist."""

    check: Check
    finding: Finding


def run_checks(found: Installation) -> Iterator[Line]:
    """Yield the lines of all checks.

    What can't be read is reported by the first check that needs it. The others that
    need it refer to that one.
    """
    reported: dict[Unread, Check] = {}
    for check in CHECKS:
        try:
            for finding in check.find(found):
                yield Line(check, finding)
        except Unread as error:
            earlier = reported.setdefault(error, check)
            yield Line(check, _explain(error, check, earlier))


def _explain(error: Unread, check: Check, earlier: Check) -> Finding:
    if earlier is check:
        return error.finding
    return Finding(Result.UNKNOWN, f'not checked: see "{earlier.name}" above')
