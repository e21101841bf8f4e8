"""Split messages of Quarantine into what is moved and what stays, and move it.

SQS can't change a message. So the events that stay are sent to Quarantine again, with
their reason and time. Everything is sent before a message is deleted: if the command is
killed in between, events are stored twice, and billed once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import batched
from typing import NamedTuple

from segment_to_hyperline.aws.messages import (
    Message,
    ReceivedMessage,
    StoredEvent,
    create_messages,
)
from segment_to_hyperline.quarantine.queue import BATCH, Queue
from segment_to_hyperline.quarantine.waiting import Place, Waiting
from segment_to_hyperline.reasons import Code


class Move(NamedTuple):
    """What is done with a message."""

    message: ReceivedMessage
    """It is deleted at the end, unless a purge has deleted it already."""
    to_replay: Sequence[Message]
    """They are sent to Replay first."""
    to_quarantine: Sequence[Message]
    """They are sent to Quarantine next."""
    places: Sequence[Place]
    """The events that are moved."""


class Moved(NamedTuple):
    """What became of a move."""

    move: Move
    problem: str
    """Why the message was not deleted, or nothing."""


def plan_moves(
    events: Iterable[Waiting],
    selected: Mapping[Place, str | None],
    environment: str = "",
) -> list[Move]:
    """Return a move for each message of *events* with a selected one.

    *selected* has the text that is sent to Replay instead of an event; None is sent
    nowhere. With an *environment*, the event belongs to it from now on.
    """
    by_message: dict[str, list[Waiting]] = defaultdict(list)
    for event in events:
        by_message[event.message.id].append(event)
    return [
        _plan(own, selected, environment)
        for own in by_message.values()
        if any(event.place in selected for event in own)
    ]


def execute(
    moves: Sequence[Move],
    quarantine: Queue,
    replay: Queue,
    wait: Callable[[], object],
) -> Iterator[Moved]:
    """Yield each of *moves* when it is done; *wait* is called for each event before.

    Raises `InputError`.
    """
    for step in batched(moves, BATCH):
        for _ in range(sum(len(move.places) for move in step)):
            wait()
        problems = _claim(step, quarantine)
        for queue, field in ((replay, "to_replay"), (quarantine, "to_quarantine")):
            own = [move for move in step if move.message.id not in problems]
            problems |= _send(own, queue, [getattr(move, field) for move in own])
        sent = [m.message for m in step if m.message.id not in problems]
        stored = [message for message in sent if message.receipt_handle]
        left = {m.id for m in stored} - {m.id for m in quarantine.delete(stored)}
        problems |= dict.fromkeys(left, "Quarantine has not deleted it")
        yield from (Moved(move, problems.get(move.message.id, "")) for move in step)


def _claim(moves: Sequence[Move], quarantine: Queue) -> dict[str, str]:
    """Hide the messages of *moves* again; return why that isn't possible, by message.

    Those that a purge has deleted already can't be received by others.
    """
    stored = [move.message for move in moves if move.message.receipt_handle]
    lost = {m.id for m in stored} - {m.id for m in quarantine.claim(stored)}
    return dict.fromkeys(
        lost, "it was visible again meanwhile, or somebody else has it"
    )


def _send(
    moves: Sequence[Move], queue: Queue, messages: Sequence[Sequence[Message]]
) -> dict[str, str]:
    """Send the *messages* of each of *moves*; return what fails, by message."""
    flat = [
        (move.message.id, message)
        for move, own in zip(moves, messages, strict=True)
        for message in own
    ]
    unsent = queue.send([message for _, message in flat])
    return {flat[number][0]: why for number, why in unsent.items()}


def _plan(
    own: Sequence[Waiting], selected: Mapping[Place, str | None], environment: str
) -> Move:
    chosen = [event for event in own if event.place in selected]
    others = [event for event in own if event.place not in selected]
    moved = [
        _store(event, text, environment)
        for event in chosen
        if (text := selected[event.place]) is not None
    ]
    stay = [_store(event, event.element.text) for event in others]
    return Move(
        own[0].message,
        list(create_messages(moved)),
        list(create_messages(stay)),
        [event.place for event in chosen],
    )


def _store(event: Waiting, text: str, environment: str = "") -> StoredEvent:
    """Return the event for a queue, with the time at which it was first stored."""
    # It is no longer isolated, so that it is tried like any other.
    attributes = event.message.event_attributes._replace(isolated_at="")
    if environment:
        attributes = attributes._replace(environment=environment)
    code = Code(event.code) if event.code in set(Code) else None
    return StoredEvent(text, event.reason, attributes, code)
