"""The Receiver: handle a Segment webhook request and return its HTTP status."""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from forwarder import config
from forwarder.deadline import Deadline
from forwarder.elements import MalformedBody
from forwarder.mapping import file
from forwarder.outcomes import response_status
from forwarder.pipeline import process_events
from forwarder.report import (
    NAMESPACE,
    STALE_SECRET,
    Report,
    add_metrics,
    create_report,
    log_fields,
    report_rejection,
    to_log_line,
    write_body,
)
from forwarder.secret import Secret, SecretError
from forwarder.secret_cache import read_secret, refresh_secret
from forwarder.segment.authentication import (
    AuthenticationError,
    read_body,
    verify_request,
)
from forwarder.segment.events import parse_body

# Read once, when the function starts. It doesn't start with an invalid file.
RULES = file.load_rules(Path(__file__).with_name("mapping.toml"))


class Rejection(NamedTuple):
    """The HTTP status and the metric of a request that is rejected as a whole."""

    status: int
    metric: str


# Any other exception becomes a 500 at API Gateway, after which Segment retries.
REJECTIONS: Mapping[type[Exception], Rejection] = {
    AuthenticationError: Rejection(401, "Unauthorized"),
    MalformedBody: Rejection(400, "Malformed"),
    SecretError: Rejection(503, "SecretErrors"),
}

logger = Logger(service="receiver", json_serializer=to_log_line)
metrics = Metrics(namespace=NAMESPACE, service="receiver")


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(request: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Return the response to an API Gateway request (payload format 2.0).

    README.md has the table of statuses.
    """
    deadline = Deadline(config.time_budget_seconds())
    try:
        body = read_body(request)
        secret = authenticate(request, body, deadline)
        results = process_events(parse_body(body), RULES, secret, deadline)
    except tuple(REJECTIONS) as error:
        rejection = REJECTIONS[type(error)]
        report = report_rejection(str(error))
        return respond(rejection.status, report, rejection.metric)
    status = response_status(result.outcome for result in results)
    report = create_report(results, secret.stale_reason)
    return respond(status, report, *[STALE_SECRET] * bool(secret.stale_reason))


def authenticate(request: Mapping[str, Any], body: bytes, deadline: Deadline) -> Secret:
    """Return the secret that authenticates *request*; raise `AuthenticationError`.

    Segment doesn't retry a rejected request. So before a request is rejected, a cached
    secret is read again, because it may have been rotated.
    """
    secret = read_secret(deadline)
    try:
        verify_request(request, body, *secret.credentials())
    except AuthenticationError:
        refreshed = refresh_secret(secret, deadline)
        if refreshed is None:
            raise
        verify_request(request, body, *refreshed.credentials())
        return refreshed
    return secret


def respond(status: int, report: Report, *other_metrics: str) -> dict[str, Any]:
    """Log *report*, add it to the metrics, and return the response."""
    is_good = status == HTTPStatus.OK and not report.warning
    log = logger.info if is_good else logger.warning
    log("request processed", extra={"status": status, **log_fields(report)})
    add_metrics(metrics, report, *other_metrics)
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": write_body(report),
    }
