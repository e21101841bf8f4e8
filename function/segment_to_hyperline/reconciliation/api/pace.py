"""How fast Hyperline is read: posts of new events count towards the same rate limit."""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from segment_to_hyperline.hyperline.facts import MAX_REQUESTS, MAX_REQUESTS_SECONDS

# The share of the limit that is used by default. Of the rest, the Replayers use up to
# a tenth, so that at least 65% are left to new events.
SHARE = 0.25
# Nothing that is deployed uses the core API.
CORE_SHARE = 0.5
# The core API's own limit. https://docs.hyperline.co/developers/rate-limiting
CORE_LIMIT = 200
# As long as this share of the limit remains, the pace is not reduced.
_AMPLE_SHARE = 0.5
# With less than this share, the pace is that of this share, until more remains.
_LEAST_SHARE = 0.02


def find_interval(limit: int, remaining: int, share: float = SHARE) -> float:
    """Return the seconds between two requests, in view of the rate limit.

    *limit* is the number of requests in 10 seconds, *remaining* how many of them are
    left to everybody who uses this key, and *share* how much of the limit is used.
    """
    left = min(max(remaining / limit, _LEAST_SHARE), _AMPLE_SHARE) / _AMPLE_SHARE
    return MAX_REQUESTS_SECONDS / (limit * share * left)


class Pace:
    """Spaces the requests of several threads.

    With a *rate* in requests per second, that is the pace. Otherwise it is a *share* of
    the *limit* of requests in 10 seconds.
    """

    def __init__(
        self,
        rate: float | None = None,
        limit: int = MAX_REQUESTS,
        share: float = SHARE,
    ) -> None:
        self._rate = rate
        self._share = share
        self._interval = 1 / rate if rate else find_interval(limit, limit, share)
        self._next_at = 0.0
        self._paused_until = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait until the next request may be sent."""
        while True:
            with self._lock:
                now = time.monotonic()
                begin = max(now, self._next_at)
                self._next_at = begin + self._interval
            if begin > now:
                time.sleep(begin - now)
            # Another thread can have begun a pause meanwhile.
            if time.monotonic() >= self._paused_until:
                return

    def pause(self, seconds: float) -> None:
        """Let no thread send a request for *seconds*."""
        with self._lock:
            until = time.monotonic() + seconds
            if until > self._paused_until:
                self._paused_until = self._next_at = until

    def adapt(self, headers: Mapping[str, str]) -> None:
        """Adapt the pace to the rate limit in the *headers* of a response."""
        if self._rate:
            return
        with suppress(KeyError, ValueError, ZeroDivisionError):
            limit = int(headers["X-RateLimit-Limit"])
            remaining = int(headers["X-RateLimit-Remaining"])
            self._interval = find_interval(max(limit, 0), remaining, self._share)
