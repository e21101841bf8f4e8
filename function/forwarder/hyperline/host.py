"""What an execution environment knows about a host of Hyperline's.

Lambda can freeze an execution environment for hours between two invocations, so all
times are wall-clock times: `time.monotonic` may stand still meanwhile.
"""

from dataclasses import dataclass, field
from functools import cache

from forwarder.hyperline.batch_size import BatchSize
from forwarder.hyperline.breaker import Breaker

# For so long after an accepted post, Hyperline is known to accept events.
_ACCEPTS_SECONDS = 10 * 60


@dataclass
class Host:
    """The breaker, the batch size, and when a post was last accepted."""

    breaker: Breaker = field(default_factory=Breaker)
    batch_size: BatchSize = field(default_factory=BatchSize)
    accepted_at: float = float("-inf")

    def accepts_others(self, now: float) -> bool:
        """Return whether Hyperline accepted a post within the last 10 minutes."""
        # A clock that was set back makes the time unknown.
        return 0 <= now - self.accepted_at < _ACCEPTS_SECONDS


@cache
def find_host(_url: str) -> Host:
    """Return what is known about the host *url*."""
    return Host()
