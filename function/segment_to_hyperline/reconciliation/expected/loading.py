"""Load what the mapping makes of the events: what Hyperline should have stored."""

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from segment_to_hyperline.archive.captured import (
    Captured,
    UnreadableLine,
)
from segment_to_hyperline.archive.files import BUFFER_BYTES
from segment_to_hyperline.archive.hashing import HashingReader
from segment_to_hyperline.archive.sources import (
    WHOLE,
    Item,
    Part,
    Source,
    open_source,
    read_items,
)
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.preview.verdict import Verdict, judge
from segment_to_hyperline.reconciliation.api.rows import encode_text, read_milliseconds
from segment_to_hyperline.reconciliation.expected.mappings import DatedRules
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.expected.versions import (
    identify,
    join_sequence,
    read_fields,
)
from segment_to_hyperline.segment.integrations import is_sent

_BATCH = 2_000
_EXCLUDED = "its field integrations excludes the destination"
_NOT_SENT = "not sent"


class Batch(NamedTuple):
    """What the mapping makes of some events of a source.

    They are plain tuples, which are sent faster between processes.
    """

    versions: list[tuple[Any, ...]]
    """The fields of `Version`."""
    billable: list[tuple[Any, ...]]
    """The fields of `Billable`."""
    alternatives: list[tuple[Any, ...]]
    """The number of an alternative, when its mapping was deployed, and the fields of
    its `Billable`."""
    unreadable: list[tuple[str, int]]
    """What can't be read, and its position in the input."""
    size: int
    """How many more bytes of the source were read, divided by the number of parts."""
    digest: str = ""
    """The SHA-256 of the source, in the last batch."""


def map_source(
    position: int,
    source: Source,
    rules: DatedRules,
    destination: str,
    part: Part = WHOLE,
) -> Iterator[Batch]:
    """Yield what *rules* make of the events of a source; raises `InputError`.

    *position* is that of the source in the input. Events that exclude the *destination*
    are never sent to it, so nothing is expected. All of the source is read, but only
    the events of a *part* are mapped.
    """
    batch, read = _create_batch(), 0
    file = HashingReader(open_source(source))
    with io.BufferedReader(file, BUFFER_BYTES) as buffer:
        items = read_items(source.name, buffer, part)  # type: ignore[arg-type] # of a RawIOBase
        for number, item in enumerate(items, 1):
            sequence = join_sequence(position, item.number)
            _add(batch, item.captured, sequence, rules, destination)
            if number % _BATCH == 0:
                done = file.size // part.of
                yield batch._replace(size=done - read)
                batch, read = _create_batch(), done
        digest = file.finish()
        yield batch._replace(size=file.size // part.of - read, digest=digest)


def add_batch(store: Store, batch: Batch) -> int:
    """Add *batch* to what is expected; return how many events and damages it has."""
    store.add(batch.versions, batch.billable, batch.alternatives)
    for reason, sequence in batch.unreadable:
        store.add_unreadable(reason, sequence)
    return len(batch.versions) + len(batch.unreadable)


def load_queued(
    items: Iterable[Item], rules: Rules, store: Store
) -> dict[tuple[str, str], str]:
    """Return the file of each event in exported messages of the queues.

    The key is the type and the id of the billable event. What can't be read is added to
    that of *store*.
    """
    queued: dict[tuple[str, str], str] = {}
    for file, captured, _ in items:
        if isinstance(captured, UnreadableLine):
            store.add_unreadable(captured.reason)
        for billable in judge(rules, captured).billable:
            queued[_encode_key(billable)] = file
    return queued


def _create_batch() -> Batch:
    return Batch([], [], [], [], 0)


def _add(
    batch: Batch, captured: Captured, sequence: int, rules: DatedRules, destination: str
) -> None:
    """Add an event to *batch*."""
    if isinstance(captured, UnreadableLine):
        batch.unreadable.append((captured.reason, sequence))
        return
    data = captured.event.data
    fields = read_fields(data)
    message_id = identify(fields, sequence)
    received_at = read_milliseconds(fields.get("receivedAt")) or 0
    if is_sent(data, destination):
        (_, current), *later = rules.find(received_at)
        verdict = judge(current, captured)
        outcome, reason = verdict.outcome, verdict.reason
        version = message_id, received_at, sequence
        batch.billable.extend(_describe(each, version) for each in verdict.billable)
        alternatives = _list_alternatives(verdict, later, captured)
        for number, (since, others) in enumerate(alternatives):
            described = (_describe(each, version) for each in others)
            batch.alternatives.extend((number, since, *each) for each in described)
    else:
        outcome, reason = _NOT_SENT, _EXCLUDED
    time = read_milliseconds(fields.get("timestamp")) or 0
    if received_at:  # a later timestamp is wrong, so nobody would look for it there
        time = min(time, received_at)
    batch.versions.append((message_id, received_at, sequence, time, outcome, reason))


def _list_alternatives(
    verdict: Verdict, later: Sequence[tuple[int, Rules]], captured: Captured
) -> Iterator[tuple[int, tuple[BillableEvent, ...]]]:
    """Yield since when *later* rules bill something else instead, and what."""
    known = [verdict.billable, ()]
    for since, rules in later:
        billable = judge(rules, captured).billable
        if billable not in known:
            known.append(billable)
            yield since, billable


def _describe(
    billable: BillableEvent, version: tuple[str, int, int]
) -> tuple[Any, ...]:
    fields = billable.fields()
    time = read_milliseconds(fields["timestamp"]) or 0
    return (*billable.key, *version, time, fields["customer_id"], billable.json)


def _encode_key(event: BillableEvent) -> tuple[str, str]:
    """Return the type and the id of *event*, as they are stored."""
    return encode_text(event.key.event_type), encode_text(event.key.record_id)
