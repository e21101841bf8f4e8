"""The Receiver: handle a Segment webhook request and return its HTTP status."""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from segment_to_hyperline import config
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.elements import MalformedBody
from segment_to_hyperline.gatekeeper import PreviousSecretError, authenticate
from segment_to_hyperline.mapping import file
from segment_to_hyperline.outcomes import response_status
from segment_to_hyperline.pipeline import process_events
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.report import (
    Report,
    create_report,
    report_rejection,
    write_body,
)
from segment_to_hyperline.secret import SecretError
from segment_to_hyperline.segment.authentication import (
    AuthenticationError,
    is_probably_segments,
    read_body,
)
from segment_to_hyperline.segment.events import parse_body
from segment_to_hyperline.segment.facts import is_retried
from segment_to_hyperline.telemetry import NAMESPACE, LogLine

# Read once, when the function starts. It doesn't start with an invalid file.
RULES = file.load_rules(Path(__file__).with_name("mapping.toml"))


class Rejection(NamedTuple):
    """What happens if a request is rejected as a whole."""

    status: int
    metric: str
    code: Code


# Any other exception becomes a 500 at API Gateway, after which Segment retries.
REJECTIONS: Mapping[type[Exception], Rejection] = {
    AuthenticationError: Rejection(401, "Unauthorized", Code.UNAUTHORIZED),
    MalformedBody: Rejection(400, "Malformed", Code.MALFORMED),
    SecretError: Rejection(503, "SecretErrors", Code.SECRET_UNUSABLE),
    PreviousSecretError: Rejection(503, "PreviousSecret", Code.PREVIOUS_SECRET),
}

metrics = Metrics(namespace=NAMESPACE, service="receiver")


def lambda_handler(request: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Return the response to an API Gateway request (payload format 2.0).

    README.md has the table of statuses.
    """
    with LogLine(metrics) as line:
        # The access log has the same id, so the lines can be joined.
        line.add_fields(request_id=request.get("requestContext", {}).get("requestId"))
        status, report = handle_request(request, line)
        line.add_fields(status=status)
        if status != HTTPStatus.OK:
            line.warn()
        return {
            "statusCode": status,
            "headers": {"Content-Type": "application/json"},
            "body": write_body(report),
        }


def handle_request(request: Mapping[str, Any], line: LogLine) -> tuple[int, Report]:
    """Return the status and the report for *request*; add what happened to *line*."""
    deadline = Deadline(config.time_budget_seconds())
    try:
        body = read_body(request)
        secret = authenticate(request, body, deadline, line)
        events = line.count_received(parse_body(body))
        results = process_events(events, RULES, secret, deadline)
    except tuple(REJECTIONS) as error:
        rejection = REJECTIONS[type(error)]
        line.add_rejection(rejection.metric, rejection.code, str(error))
        if is_probably_segments(request) and not is_retried(rejection.status):
            line.add_metric("SegmentRejected")
        return rejection.status, report_rejection(rejection.code, str(error))
    line.add_results(results)
    if secret.stale_reason:
        line.add_stale_secret(secret.stale_reason)
    status = response_status(result.outcome for result in results.all)
    return status, create_report(results.all, secret.credentials.warnings)
