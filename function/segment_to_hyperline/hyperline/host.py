"""What an execution environment knows about a host of Hyperline's.

Lambda can freeze an execution environment for hours between two invocations, so all
times are wall-clock times: `time.monotonic` may stand still meanwhile.
"""

from dataclasses import dataclass, field
from functools import cache

from segment_to_hyperline.hyperline.batch_size import BatchSize
from segment_to_hyperline.hyperline.breaker import Breaker

# For so long after an accepted post, Hyperline is known to accept events, unless this
# many single events in a row have failed since: then any other would probably fail.
_ACCEPTS_SECONDS = 10 * 60
_MAX_FAILED_EVENTS = 5


@dataclass
class Host:
    """The breaker, the batch size, and whether Hyperline accepts events."""

    breaker: Breaker = field(default_factory=Breaker)
    batch_size: BatchSize = field(default_factory=BatchSize)
    _accepted_at: float = float("-inf")
    _failed_events: int = 0

    def accepts_others(self, now: float) -> bool:
        """Return whether Hyperline accepted a post lately.

        That is within the last 10 minutes, and before at most 4 failed single events.
        """
        # A clock that was set back makes the time unknown.
        is_recent = 0 <= now - self._accepted_at < _ACCEPTS_SECONDS
        return is_recent and self._failed_events < _MAX_FAILED_EVENTS

    def record_acceptance(self, now: float) -> None:
        """Record that a post was accepted at *now*."""
        self._accepted_at = now
        self._failed_events = 0

    def record_failed_event(self) -> None:
        """Record that a single event was not accepted."""
        self._failed_events += 1


@cache
def find_host(_url: str) -> Host:
    """Return what is known about the host *url*."""
    return Host()
