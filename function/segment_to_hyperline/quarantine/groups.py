"""Waiting events that have the same cause: reason, rule, event and customer."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from segment_to_hyperline.attributes import write_time
from segment_to_hyperline.quarantine.waiting import Waiting

_DAY = 24 * 60 * 60


class Group(NamedTuple):
    """Events with the same cause, and what would become of them now."""

    code: str
    rule: str
    event: str
    customer: str
    outlook: str
    events: tuple[Waiting, ...]

    @property
    def number(self) -> int:
        """The number of events; one that is stored twice counts once."""
        return len({event.element.text for event in self.events})

    @property
    def first(self) -> float:
        """When the first of them was stored, as a Unix timestamp."""
        return min(event.message.first_sent_at for event in self.events)

    @property
    def times(self) -> list[float]:
        """When they happened, as far as known."""
        return [event.time for event in self.events if event.time is not None]

    def count_days(self, now: float, retention: int) -> float:
        """Return in how many days SQS deletes the first of them."""
        sent_at = min(event.message.sent_at for event in self.events)
        return round((sent_at + retention - now) / _DAY, 1)

    def describe(self, now: float, retention: int) -> dict[str, Any]:
        """Return the group for programs."""
        return {
            "code": self.code,
            "rule": self.rule,
            "event": self.event,
            "customer": self.customer,
            "events": self.number,
            "first": write_time(self.first),
            "oldest": write_time(min(self.times)) if self.times else None,
            "deleted_in_days": self.count_days(now, retention),
            "now": self.outlook,
        }


def group_events(events: Iterable[Waiting]) -> list[Group]:
    """Return *events* in groups, the largest first."""
    groups: dict[tuple[str, str, str, str, str], list[Waiting]] = defaultdict(list)
    for each in events:
        key = (each.code, each.rule, each.event, each.customer, each.outlook)
        groups[key].append(each)
    found = [Group(*key, events=tuple(own)) for key, own in groups.items()]
    return sorted(found, key=lambda group: (-group.number, group[:5]))
