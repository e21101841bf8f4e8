"""Replay the messages of the Replay queue: finish what can be finished, leave the rest.

Events are stored elsewhere before their message is deleted. A crash in between repeats
work, and Hyperline then overwrites what it has with the same data.
"""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from segment_to_hyperline import config
from segment_to_hyperline.aws.messages import Message, ReceivedMessage, parse_message
from segment_to_hyperline.aws.queues import Queue, delay_messages, send_messages
from segment_to_hyperline.backoff import choose_delay
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.elements import MalformedBody, decode_element
from segment_to_hyperline.hyperline.plan import REPLAYER
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.pipeline import QUEUE_SHARE, bill_events
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.results import Result, Results
from segment_to_hyperline.secret import Secret, SecretError
from segment_to_hyperline.secret_cache import read_secret
from segment_to_hyperline.segment.events import DecodedEvent, Event
from segment_to_hyperline.storage import store_results
from segment_to_hyperline.unfinished import Attempt, decide, has_failed_before


class Replay(NamedTuple):
    """What happened to the received messages and their events."""

    received: int
    """The number of events."""
    results: Results
    unfinished: Mapping[ReceivedMessage, str]
    """The messages that stay in the queue, and why."""
    delays: Mapping[str, int]
    """For how many seconds each of these is delayed, by receipt handle."""
    stale_reason: str = ""
    """Why a cached secret was used."""
    oldest_age: float = 0
    """For how many seconds the oldest event that could not be billed is stored."""

    @property
    def is_stopped(self) -> bool:
        """Whether the next messages would fail as well.

        They would not if Hyperline accepts some, or if only isolated events failed.
        """
        has_failed = any(message.isolated_at is None for message in self.unfinished)
        return has_failed and not self.results.posts.has_accepted


class _Stored(NamedTuple):
    """An event, and the message in which it is stored."""

    message: ReceivedMessage
    text: str

    def decode(self) -> DecodedEvent:
        element, _ = decode_element(self.text, 0)
        return Event.create(element, self.message.event_attributes), element.data


def replay_messages(
    messages: Iterable[ReceivedMessage], rules: Rules, deadline: Deadline
) -> Replay:
    """Bill the events of *messages* together, and store those that can't be billed.

    A message is finished when each of its events is delivered, filtered, or stored in
    another message. Until then it stays in the queue, and is delayed.
    """
    events, unfinished = _read_messages(messages, deadline)
    environment = stale_reason = ""
    try:
        secret = read_secret(deadline)
        environment, stale_reason = secret.environment, secret.stale_reason
        billed = _bill(events, rules, secret, deadline)
    except SecretError as error:
        billed = _fail(events, str(error))
    now = time.time()
    attempt = Attempt.create(billed, now)
    decided = [
        result
        for message, results in _group(events, billed.all).items()
        for result in decide(message, results, attempt)
    ]
    stored = billed._replace(all=store_results(decided, environment, deadline))
    stuck = set(unfinished)
    for message, own in _group(events, stored.all).items():
        pending = [result for result in own if result.outcome.is_unfinished]
        if pending:
            unfinished[message] = pending[0].reason
        if any(result.reason for result in own):
            stuck.add(message)
    return Replay(
        received=len(events),
        results=stored,
        unfinished=unfinished,
        delays=_delay(unfinished, stored, deadline),
        stale_reason=stale_reason,
        oldest_age=max((now - message.first_sent_at for message in stuck), default=0),
    )


def _read_messages(
    messages: Iterable[ReceivedMessage], deadline: Deadline
) -> tuple[list[_Stored], dict[ReceivedMessage, str]]:
    """Return the stored events, and the messages that can't be finished.

    A message that was not created by this application is moved to Quarantine unchanged.
    """
    events: list[_Stored] = []
    foreign: list[ReceivedMessage] = []
    # Results are grouped by message, so one that is delivered twice counts once.
    for message in dict.fromkeys(messages):
        try:
            events += [_Stored(message, text) for text in parse_message(message.body)]
        except MalformedBody:
            foreign.append(message)
    copies = [
        Message(message.body, message.attributes._replace(isolated_at=""))
        for message in foreign
    ]
    queue = Queue("Quarantine", config.quarantine_queue_url())
    unsent = send_messages(copies, queue, deadline) if copies else {}
    return events, {foreign[position]: reason for position, reason in unsent.items()}


def _bill(
    events: Sequence[_Stored], rules: Rules, secret: Secret, deadline: Deadline
) -> Results:
    bill_by = deadline.earlier(deadline.left() * QUEUE_SHARE)
    begins_alone = has_failed_before(stored.message for stored in events)
    strategy = REPLAYER._replace(begins_alone=begins_alone)
    decoded = (stored.decode() for stored in events)
    return bill_events(decoded, rules, secret, bill_by, strategy)


def _fail(events: Iterable[_Stored], reason: str) -> Results:
    code = Code.SECRET_UNUSABLE
    decoded = (stored.decode() for stored in events)
    return Results([Result(e, Outcome.PENDING, code, reason) for e, _ in decoded])


def _group(
    events: Sequence[_Stored], results: Sequence[Result]
) -> Mapping[ReceivedMessage, list[Result]]:
    """Return *results*, which are in the order of *events*, by message."""
    groups: dict[ReceivedMessage, list[Result]] = {}
    for stored, result in zip(events, results, strict=True):
        groups.setdefault(stored.message, []).append(result)
    return groups


def _delay(
    unfinished: Iterable[ReceivedMessage], results: Results, deadline: Deadline
) -> Mapping[str, int]:
    """Delay *unfinished*, at least for as long as Hyperline asked to wait.

    While Hyperline accepts others, what it asked for an event that was posted alone
    doesn't delay them.
    """
    # Lambda polls again immediately, also after an outage was reported to it.
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    first = config.backoff_seconds()
    has_accepted = results.posts.has_accepted
    retry_after = max(
        (
            result.failure.retry_after
            for result in results.all
            if result.failure and not (result.is_alone and has_accepted)
        ),
        default=0,
    )
    delays = {
        message.receipt_handle: choose_delay(
            message,
            first,
            random.uniform(0.8, 1.2),  # noqa: S311 - not a secret
            retry_after,
        )
        for message in unfinished
    }
    if delays:
        delay_messages(delays, config.replay_queue_url(), deadline)
    return delays
