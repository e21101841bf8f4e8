"""Look up Hyperline's rows by their ids."""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import partial

from segment_to_hyperline.reconciliation.api.events import Events, can_find, fit_queries
from segment_to_hyperline.reconciliation.api.in_flight import work_in_flight
from segment_to_hyperline.reconciliation.api.rows import Row, Window


def look_up(
    events: Events, event_type: str, times: Mapping[str, int], seen: Container[str]
) -> Iterator[tuple[str, Sequence[Row]]]:
    """Yield the ids in *times*, each with the rows that Hyperline has for it now.

    An id that was *seen* before, and isn't found any more, is looked up by its time
    too: it can be one that Hyperline doesn't find, such as a number.
    """
    others = [record_id for record_id in times if not can_find(record_id)]
    queries = fit_queries(filter(can_find, times))
    for ids, rows in work_in_flight(partial(events.find, event_type), queries):
        found = group(rows, lambda row: row.record_id)
        for record_id in ids:
            if record_id in found or record_id not in seen:
                yield record_id, found.get(record_id, ())
            else:
                others.append(record_id)
    # The time that is shown can be rounded.
    instants = (
        Window(event_type, times[other] - 1, times[other] + 2) for other in others
    )
    reads = work_in_flight(events.read, instants)
    for record_id, (_, rows) in zip(others, reads, strict=True):
        yield record_id, [row for row in rows if row.record_id == record_id]


def look_up_types(
    events: Events, times: Mapping[str, Mapping[str, int]]
) -> dict[tuple[str, str], Sequence[Row]]:
    """Return the rows that Hyperline has now, by their type and id.

    *times* has the times of the wanted ids by the event type.
    """
    return {
        (event_type, record_id): rows
        for event_type, ids in times.items()
        for record_id, rows in look_up(events, event_type, ids, ())
        if rows
    }


def group[Item](
    items: Iterable[Item], key: Callable[[Item], str]
) -> dict[str, list[Item]]:
    """Return the *items* by their keys."""
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups
