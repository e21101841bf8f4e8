"""Deliver billable events with the API key from the secret."""

from segment_to_hyperline import config
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.hyperline.client import post_events
from segment_to_hyperline.hyperline.failures import Failure, Kind
from segment_to_hyperline.hyperline.plan import Outgoing, Strategy
from segment_to_hyperline.hyperline.posts import Delivery, Posts
from segment_to_hyperline.reasons import Code
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
    first = _post_with(secret, outgoing, deadline, strategy)
    if not any(first.failures.values()):
        return first
    rejected = outgoing.keep(lambda event: _is_key_rejected(first.failures[event.key]))
    if not rejected.all_events():
        return first
    try:
        refreshed = refresh_secret(secret, deadline)
    except SecretError as error:
        failed = _fail(rejected, error)
        return first._replace(failures=first.failures | failed.failures)
    if refreshed is None or refreshed.environment not in {"", secret.environment}:
        return first
    second = _post_with(refreshed, rejected, deadline, strategy)
    return Delivery(
        first.failures | second.failures,
        Posts(
            first.posts.seconds + second.posts.seconds,
            first.posts.has_accepted or second.posts.has_accepted,
            second.posts.accepts_others,
        ),
    )


def _post_with(
    secret: Secret, outgoing: Outgoing, deadline: Deadline, strategy: Strategy
) -> Delivery:
    try:
        endpoint = secret.endpoint
    except SecretError as error:
        return _fail(outgoing, error)
    version = config.ingestion_version()
    return post_events(
        outgoing,
        endpoint.url,
        endpoint.api_key,
        deadline,
        strategy,
        version=version,
    )


def _is_key_rejected(failure: Failure | None) -> bool:
    return failure is not None and failure.kind is Kind.KEY_REJECTED


def _fail(outgoing: Outgoing, error: SecretError) -> Delivery:
    failure = Failure(Kind.UNAVAILABLE, Code.SECRET_UNUSABLE, str(error))
    return Delivery({event.key: failure for event in outgoing.all_events()})
