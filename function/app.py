"""The Receiver: receive a call of Segment, settle its events, answer with a status."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

import payload
import segment
import settings
from deadline import Deadline
from report import NAMESPACE, count, describe, measure, preview
from settlement import Outcome, Settlement, settle

# What to answer: the first of these outcomes that an event of the call has. Segment
# sends again after 429 and 503, and forgets the events after 200 and 422.
# https://www.twilio.com/docs/segment/connections/destinations#retries
STATUSES = {
    Outcome.PENDING: 503,
    Outcome.THROTTLED: 429,
    Outcome.DELIVERED: 200,
    Outcome.FILTERED: 200,
    Outcome.PREVIEWED: 200,
    Outcome.QUARANTINED: 422,
}
# What to answer to a call whose events can't be settled at all. Any other exception
# becomes a 500 at API Gateway, after which Segment sends again too.
REFUSALS: dict[type[Exception], int] = {
    segment.Forged: 401,
    payload.Malformed: 400,
    settings.Unreadable: 503,
}

# Segment's client hangs on large answers.
MAX_ANSWER_BYTES = 4_000

logger = Logger(service="receiver")
metrics = Metrics(namespace=NAMESPACE, service="receiver")


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(call: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answer an API Gateway call (payload format 2.0), as the README's table says."""
    deadline = Deadline(settings.time_budget_seconds())
    try:
        body = segment.read_body(call)
        secret = authenticate(call, body, deadline)
        settlements = settle(payload.parse(body), secret, deadline)
    except tuple(REFUSALS) as refusal:
        error = {"message_id": None, "reason": str(refusal)}
        return answer(REFUSALS[type(refusal)], count([]), [error])
    return answer(
        status(settlements),
        count(settlements),
        describe(settlements),
        preview(settlements),
    )


def authenticate(
    call: Mapping[str, Any], body: bytes, deadline: Deadline
) -> settings.Secret:
    """Return the secret by which the call is genuine; raise `Forged` if there is none.

    A refused call is dropped by Segment for good, so a copy of the secret that may have
    been rotated meanwhile is read again before the call is refused.
    """
    secret = settings.read_secret(deadline)
    try:
        segment.authenticate(call, body, *secret.workspace())
    except segment.Forged:
        if secret.is_fresh():
            raise
        secret = settings.read_secret(deadline, refresh=True)
        segment.authenticate(call, body, *secret.workspace())
    return secret


def status(settlements: Sequence[Settlement]) -> int:
    """Return what to answer to a call whose events ended like this."""
    outcomes = {settlement.outcome for settlement in settlements}
    return next(code for outcome, code in STATUSES.items() if outcome in outcomes)


def answer(
    status: int,
    counts: Mapping[str, int],
    errors: Sequence[Mapping[str, Any]],
    previews: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Report the call in one log line and one set of metrics, and return the answer."""
    report = logger.info if status == HTTPStatus.OK else logger.warning
    report("call answered", extra={"status": status, **counts, "errors": errors})
    measure(metrics, counts)
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": write_body(counts, errors, previews),
    }


def write_body(
    counts: Mapping[str, int],
    errors: Sequence[Mapping[str, Any]],
    previews: Sequence[Mapping[str, Any]],
) -> str:
    """Return the answer's JSON, with as much as fits `MAX_ANSWER_BYTES`."""
    shown = {"preview": previews} if previews else {}
    body = json.dumps({**counts, "errors": errors, **shown})
    if len(body) <= MAX_ANSWER_BYTES:
        return body
    if len(json.dumps(errors)) > len(json.dumps(previews)):
        return write_body(counts, errors[:-1], previews)
    return write_body(counts, errors, previews[:-1])
