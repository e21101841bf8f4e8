"""Put missing events into the queue Replay, as `backfill` does."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from segment_to_hyperline.archive.sources import Source
from segment_to_hyperline.reconciliation.backfill import Backfill, Send, State
from segment_to_hyperline.reconciliation.plan import POST
from segment_to_hyperline.reconciliation.plan_creation import create_plan
from segment_to_hyperline.reconciliation.planning import Wanted
from segment_to_hyperline.reconciliation.target import Compared


class Queued(NamedTuple):
    """What became of missing events."""

    number: int
    """How many were put into Replay."""
    others: Mapping[str, int]
    """Why the others were not, and how many there are."""


def queue_missing(
    compared: Compared, sources: Sequence[Source], send: Send, now: float
) -> Queued:
    """Put the missing events into Replay that are young enough at the time *now*.

    What differs is never changed. Raises as `create_plan` and `Backfill.execute`.
    """
    milliseconds = round(now * 1_000)
    plan = create_plan(compared, sources, Wanted(), milliseconds, is_queued=True)
    others = Counter(each.reason for each in plan.left_out)
    number = 0
    for result in Backfill(plan, compared.target.events, send, milliseconds).execute():
        if result.item.action != POST:
            continue
        if result.state is State.TO_DO and not result.problem:
            number += 1
        else:
            others[result.problem or str(result.state)] += 1
    return Queued(number, others)
