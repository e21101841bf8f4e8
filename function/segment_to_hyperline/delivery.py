"""Deliver billable events with the API key from the secret."""

from segment_to_hyperline import tester
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.hyperline import client
from segment_to_hyperline.hyperline.client import Delivery
from segment_to_hyperline.hyperline.plan import Outgoing, Strategy
from segment_to_hyperline.outcomes import Failure, Outcome
from segment_to_hyperline.secret import Secret, SecretError
from segment_to_hyperline.secret_cache import refresh_secret


def deliver_events(
    outgoing: Outgoing, secret: Secret, deadline: Deadline, strategy: Strategy
) -> Delivery:
    """Deliver the events of *outgoing*; return None or the failure for each key.

    If the API key is rejected, retries once with a refreshed secret, unless its key is
    one of the other environment: whether the events belong there is decided at the next
    attempt.
    """
    first = _deliver_with(secret, outgoing, deadline, strategy)
    rejected = outgoing.keep(lambda event: _is_key_rejected(first.results[event.key]))
    if not rejected.all_events():
        return first
    try:
        refreshed = refresh_secret(secret, deadline)
    except SecretError as error:
        failed = _fail(rejected, error)
        return first._replace(results=first.results | failed.results)
    if refreshed is None or refreshed.environment not in {"", secret.environment}:
        return first
    second = _deliver_with(refreshed, rejected, deadline, strategy)
    return Delivery(
        first.results | second.results,
        first.post_seconds + second.post_seconds,
        first.has_accepted or second.has_accepted,
        second.accepts_others,
    )


def _deliver_with(
    secret: Secret, outgoing: Outgoing, deadline: Deadline, strategy: Strategy
) -> Delivery:
    try:
        endpoint = secret.endpoint()
    except SecretError as error:
        return _fail(outgoing, error)
    withheld = tester.withhold_tests(
        outgoing.all_events(), is_sandbox=endpoint.is_sandbox
    )
    sent = outgoing.keep(lambda event: event.key not in withheld)
    delivery = client.deliver(sent, endpoint.url, endpoint.api_key, deadline, strategy)
    return delivery._replace(results={**delivery.results, **withheld})


def _is_key_rejected(failure: Failure | None) -> bool:
    return failure is not None and failure.key_rejected


def _fail(outgoing: Outgoing, error: SecretError) -> Delivery:
    failure = Failure(Outcome.PENDING, str(error))
    return Delivery({event.key: failure for event in outgoing.all_events()})
