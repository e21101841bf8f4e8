"""When the messages of Replay that can't be finished are received again."""

from segment_to_hyperline.aws.messages import ReceivedMessage

# The delay doubles with each receive, from 1 to 15 times BACKOFF_SECONDS: 1 to 15
# minutes. That of an isolated event, whose posts can last 8 seconds each, goes on from
# there, up to 4 hours.
_BACKOFF_FACTORS = (1, 15)
_ISOLATED_BACKOFF_FACTORS = (15, 240)
_MAX_DOUBLINGS = 4
# A longer Retry-After would delay too many messages beyond the end of the outage.
_MAX_RETRY_AFTER_SECONDS = 60 * 60


def choose_delay(
    message: ReceivedMessage, backoff: float, jitter: float, retry_after: float
) -> int:
    """Return for how many seconds *message* is delayed before the next attempt.

    *backoff* is the delay after the first attempt, *jitter* a factor close to 1, and
    *retry_after* how long Hyperline asked to wait.
    """
    is_isolated = message.isolated_at is not None
    least, most = _ISOLATED_BACKOFF_FACTORS if is_isolated else _BACKOFF_FACTORS
    doublings = min(max(message.receives - 1, 0), _MAX_DOUBLINGS)
    delay = backoff * min(least * 2.0**doublings, most) * jitter
    return round(max(delay, min(retry_after, _MAX_RETRY_AFTER_SECONDS)))
