"""Accept what Hyperline has of an event by a later mapping.

An event that Hyperline doesn't accept at first is billed with the mapping that is
deployed when it is delivered.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import batched, chain
from typing import NamedTuple

from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.lookup import look_up_types
from segment_to_hyperline.reconciliation.api.rows import Row
from segment_to_hyperline.reconciliation.evaluation import evaluate
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.expected.versions import Expected

# How many events are looked up at a time.
_BATCH = 1_000

type _Key = tuple[str, str]


class Later(NamedTuple):
    """What is needed to know what a later mapping can have billed."""

    events: Events
    customers: Customers
    until: float
    """When the events were read, in milliseconds since 1970."""
    replace: Callable[[str, str, Sequence[Row]], None]
    """Called with the type and the id of an event, and the rows that it has now."""


def accept_later_mappings(store: Store, later: Later) -> None:
    """Expect what a later mapping bills, where Hyperline has exactly that.

    An event that is billed by two mappings, or by none, remains a difference: nothing
    but the complete result of one mapping is right.
    """
    for message_ids in batched(store.disputed(), _BATCH):
        first = {each: store.siblings(each) for each in message_ids}
        choices = {each: store.alternatives(each, later.until) for each in message_ids}
        rows = look_up_types(later.events, _list_times(first, choices))
        for message_id, siblings in first.items():
            every = [siblings, *(events for _, events in choices[message_id])]
            keys = {_key(event) for choice in every for event in choice}
            found = {key: rows[key] for key in keys if key in rows}
            if _is_partly_stored(siblings, found, later.customers):
                continue
            for since, choice in choices[message_id]:
                if _is_stored(choice, found, later.customers):
                    store.replace_expected(message_id, choice, since)
                    for key in keys:
                        store.remove_findings(*key)
                        later.replace(*key, found.get(key, ()))
                    break


def _list_times(
    first: Mapping[str, Sequence[Expected]],
    choices: Mapping[str, Sequence[tuple[int, Sequence[Expected]]]],
) -> Mapping[str, Mapping[str, int]]:
    """Return the times of the ids to look up, by their event types."""
    times: dict[str, dict[str, int]] = defaultdict(dict)
    others = (events for every in choices.values() for _, events in every)
    for event in chain.from_iterable(chain(first.values(), others)):
        times[event.event_type][event.record_id] = event.time
    return times


def _is_partly_stored(
    siblings: Sequence[Expected],
    found: Mapping[_Key, Sequence[Row]],
    customers: Customers,
) -> bool:
    """Return whether *found* is a part of what the mapping of its time bills.

    The rest is lost then, even if a later mapping doesn't bill it any more.
    """
    known = [event for event in siblings if _key(event) in found]
    return len(found) == len(known) < len(siblings) and _are_right(
        known, found, customers
    )


def _is_stored(
    choice: Sequence[Expected],
    found: Mapping[_Key, Sequence[Row]],
    customers: Customers,
) -> bool:
    """Return whether what was *found* is *choice*, and nothing else.

    Its customers must be known: a mapping can have changed them.
    """
    return (
        {_key(event) for event in choice} == found.keys()
        and all(customers.find_id(event.customer) for event in choice)
        and _are_right(choice, found, customers)
    )


def _are_right(
    events: Sequence[Expected],
    found: Mapping[_Key, Sequence[Row]],
    customers: Customers,
) -> bool:
    return not any(
        any(evaluate(event, found[_key(event)], customers, "")) for event in events
    )


def _key(event: Expected) -> _Key:
    return event.event_type, event.record_id
