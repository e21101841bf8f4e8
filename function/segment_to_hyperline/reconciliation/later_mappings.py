"""Accept what Hyperline has of an event by a later mapping.

An event that Hyperline doesn't accept at first is billed with the mapping that is
deployed when it is delivered.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import batched

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


def accept_later_mappings(store: Store, events: Events, customers: Customers) -> None:
    """Expect what a later mapping bills, where Hyperline has exactly that.

    An event that is billed by two mappings, or by none, remains a difference: nothing
    but the complete result of one mapping is right.
    """
    for message_ids in batched(store.disputed(), _BATCH):
        choices = {
            message_id: [store.siblings(message_id), *store.alternatives(message_id)]
            for message_id in message_ids
        }
        rows = look_up_types(events, _list_times(choices))
        for message_id, every in choices.items():
            keys = {_key(event) for choice in every for event in choice}
            found = {key: rows[key] for key in keys if key in rows}
            for choice in every[1:]:
                if _is_stored(choice, found, customers):
                    store.replace_expected(message_id, choice)
                    for key in keys:
                        store.remove_findings(*key)
                    break


def _list_times(
    choices: Mapping[str, Sequence[Sequence[Expected]]],
) -> Mapping[str, Mapping[str, int]]:
    """Return the times of the ids to look up, by their event types."""
    times: dict[str, dict[str, int]] = defaultdict(dict)
    for every in choices.values():
        for choice in every:
            for event in choice:
                times[event.event_type][event.record_id] = event.time
    return times


def _is_stored(
    choice: Sequence[Expected],
    found: Mapping[_Key, Sequence[Row]],
    customers: Customers,
) -> bool:
    """Return whether what was *found* is *choice*, and nothing else."""
    return {_key(event) for event in choice} == found.keys() and not any(
        any(evaluate(event, found[_key(event)], customers, "")) for event in choice
    )


def _key(event: Expected) -> _Key:
    return event.event_type, event.record_id
