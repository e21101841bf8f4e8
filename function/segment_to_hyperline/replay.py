"""Replay the messages of the Replay queue: finish what can be finished, leave the rest.

Events are stored elsewhere before their message is deleted. A crash in between repeats
work, and Hyperline then overwrites what it has with the same data.
"""

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from segment_to_hyperline import config
from segment_to_hyperline.aws.messages import Message, parse_message
from segment_to_hyperline.aws.queues import Queue, delay_messages, send_messages
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.elements import Element, MalformedBody, decode_element
from segment_to_hyperline.hyperline.plan import REPLAYER
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.pipeline import QUEUE_SHARE, bill_events
from segment_to_hyperline.results import Result, Results
from segment_to_hyperline.secret import Secret, SecretError
from segment_to_hyperline.secret_cache import read_secret
from segment_to_hyperline.segment.events import Event
from segment_to_hyperline.storage import store_results
from segment_to_hyperline.unfinished import (
    Attempt,
    ReceivedMessage,
    choose_delay,
    decide,
    has_failed_before,
)


class Replay(NamedTuple):
    """The results of the *received* events, and why messages stay in the queue.

    *delays* has the seconds for which each of these messages is delayed, by receipt
    handle. *stale_reason* is why a cached secret was used. *oldest_age* is for how many
    seconds the oldest event has been stored that could not be billed now.
    """

    received: int
    results: Results
    unfinished: Mapping[ReceivedMessage, str]
    delays: Mapping[str, int]
    stale_reason: str = ""
    oldest_age: float = 0

    @property
    def is_stopped(self) -> bool:
        """Whether the next messages would fail as well.

        They would not if Hyperline accepts some, or if only isolated events failed.
        """
        has_failed = any(message.isolated_at is None for message in self.unfinished)
        return has_failed and not self.results.has_accepted


type _Texts = Mapping[ReceivedMessage, Sequence[str]]


def replay_messages(
    messages: Iterable[ReceivedMessage], rules: Rules, deadline: Deadline
) -> Replay:
    """Bill the events of *messages* together, and store those that can't be billed.

    A message is finished when each of its events is delivered, filtered, or stored in
    another message. Until then it stays in the queue, and is delayed.
    """
    texts, unfinished = _read_messages(messages, deadline)
    environment = stale_reason = ""
    try:
        secret = read_secret(deadline)
        environment, stale_reason = secret.environment, secret.stale_reason
        billed = _bill(texts, rules, secret, deadline)
    except SecretError as error:
        billed = _fail(texts, str(error))
    now = time.time()
    attempt = Attempt.create(billed, now)
    decided = [
        result
        for message, results in _split(billed.events, texts).items()
        for result in decide(message, results, attempt)
    ]
    stored = store_results(decided, environment, deadline)
    stuck = set(unfinished)
    for message, own in _split(stored, texts).items():
        pending = [result for result in own if _is_pending(result)]
        if pending:
            unfinished[message] = pending[0].reason
        if any(result.reason for result in own):
            stuck.add(message)
    return Replay(
        received=sum(map(len, texts.values())),
        results=billed._replace(events=stored),
        unfinished=unfinished,
        delays=_delay(unfinished, billed._replace(events=stored), deadline),
        stale_reason=stale_reason,
        oldest_age=max((now - message.first_sent_at for message in stuck), default=0),
    )


def _read_messages(
    messages: Iterable[ReceivedMessage], deadline: Deadline
) -> tuple[_Texts, dict[ReceivedMessage, str]]:
    """Return the events' texts by message, and the messages that can't be finished.

    A message that was not created by this application is moved to Quarantine unchanged.
    """
    texts: dict[ReceivedMessage, Sequence[str]] = {}
    foreign: defaultdict[Message, list[ReceivedMessage]] = defaultdict(list)
    for message in messages:
        try:
            texts[message] = parse_message(message.body)
        except MalformedBody:
            attributes = message.attributes._replace(isolated_at="")
            copy = Message((), message.body, attributes)
            foreign[copy].append(message)
    queue = Queue("Quarantine", config.quarantine_queue_url())
    unsent = send_messages(foreign, queue, deadline) if foreign else {}
    return texts, {
        message: reason for copy, reason in unsent.items() for message in foreign[copy]
    }


def _bill(texts: _Texts, rules: Rules, secret: Secret, deadline: Deadline) -> Results:
    bill_by = deadline.earlier(deadline.left() * QUEUE_SHARE)
    strategy = REPLAYER._replace(begins_alone=has_failed_before(texts))
    return bill_events(_iterate_events(texts), rules, secret, bill_by, strategy)


def _fail(texts: _Texts, reason: str) -> Results:
    return Results(
        [Result(event, Outcome.PENDING, reason) for _, event in _iterate_events(texts)]
    )


def _iterate_events(texts: _Texts) -> Iterator[tuple[Element, Event]]:
    for message, own in texts.items():
        for text in own:
            element, _ = decode_element(text, 0)
            yield element, Event.create(element, message.event_attributes)


def _split(
    results: Sequence[Result], texts: _Texts
) -> Mapping[ReceivedMessage, list[Result]]:
    """Return *results* by message; they are in the order of the events' *texts*."""
    iterator = iter(results)
    return {m: list(islice(iterator, len(own))) for m, own in texts.items()}


def _is_pending(result: Result) -> bool:
    return result.outcome in {Outcome.PENDING, Outcome.THROTTLED}


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
    retry_after = max(
        (
            result.retry_after
            for result in results.events
            if not (result.is_alone and results.has_accepted)
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
