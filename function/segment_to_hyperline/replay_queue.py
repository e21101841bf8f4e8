"""Send events to the queue Replay, from which the deployed application bills them.

Importing it creates AWS clients, which fails if no region is configured.
"""

import time
from collections.abc import Callable, Sequence

from segment_to_hyperline.attributes import Attributes, write_time
from segment_to_hyperline.aws.messages import StoredEvent
from segment_to_hyperline.aws.queues import Queue, store_events
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.reasons import Code

_SECONDS = 60


def send_to_replay(
    queue_url: str, environment: str
) -> Callable[[Sequence[str]], dict[int, str]]:
    """Return a function that stores events in the queue Replay.

    They have the *environment* of the API key, so that a stack that uses the other one
    quarantines them.
    """

    def send(texts: Sequence[str]) -> dict[int, str]:
        stored_at = write_time(time.time())
        attributes = Attributes(stored_at=stored_at, environment=environment)
        events = [
            StoredEvent(text, "backfill", attributes, Code.BACKFILL) for text in texts
        ]
        return store_events(events, Queue("Replay", queue_url), Deadline(_SECONDS))

    return send
