"""A circuit breaker: after two posts without a response, don't post for a while.

The caller passes the wall-clock time, which goes on while Lambda freezes the execution
environment. pybreaker, purgatory and aiobreaker were considered: their pauses have a
fixed length, and they know neither a growing pause nor Retry-After.
"""

from dataclasses import dataclass

from segment_to_hyperline.hyperline.failures import Failure, Kind

_MAX_SILENT_POSTS = 2
_FIRST_PAUSE_SECONDS = 5
_MAX_PAUSE_SECONDS = 60


@dataclass
class Breaker:
    """Whether Hyperline is currently posted to.

    Without a response, the pause is 5 seconds and doubles with each further attempt, up
    to 60 seconds. After a pause, one post is let through: a response closes the breaker
    again. Hyperline's Retry-After is respected up to the same limit.
    """

    _silent_posts: int = 0
    _opened_at: float = 0
    _seconds: float = 0
    _failure: Failure | None = None

    def find_failure(self, now: float) -> Failure | None:
        """Return with which failure to end a delivery immediately, or None to post."""
        # A clock that was set back doesn't prolong the pause.
        return self._failure if 0 <= now - self._opened_at < self._seconds else None

    def record(self, failure: Failure | None, now: float) -> None:
        """Take account of a post that ended at *now* with *failure*, or succeeded."""
        if failure is not None and not failure.responded:
            self._silent_posts += 1
            self._pause(failure, now, self._pause_seconds())
            return
        self._silent_posts = 0
        self._pause(failure, now, _retry_after(failure))

    def _pause_seconds(self) -> float:
        doublings = self._silent_posts - _MAX_SILENT_POSTS
        return 0 if doublings < 0 else _FIRST_PAUSE_SECONDS * 2.0 ** min(doublings, 10)

    def _pause(self, failure: Failure | None, now: float, seconds: float) -> None:
        # The detail belongs to the events of that post.
        self._failure = failure and failure._replace(detail="")
        self._opened_at = now
        self._seconds = min(seconds, _MAX_PAUSE_SECONDS)


def _retry_after(failure: Failure | None) -> float:
    """Return how long no event at all should be posted after *failure*."""
    # A rejection concerns the events of that post, or its key, and nothing else.
    if failure is None or failure.kind in {Kind.REJECTED, Kind.KEY_REJECTED}:
        return 0
    return failure.retry_after
