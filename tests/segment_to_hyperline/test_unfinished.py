"""Unfinished events of Replay: whether they stay, are isolated, or are quarantined."""

from datetime import UTC, datetime

import pytest

from segment_to_hyperline.attributes import Attributes, read_time
from segment_to_hyperline.aws.messages import ReceivedMessage
from segment_to_hyperline.backoff import choose_delay
from segment_to_hyperline.hyperline.failures import Failure, Kind
from segment_to_hyperline.hyperline.posts import Posts
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.results import Result, Results
from segment_to_hyperline.segment.events import Event
from segment_to_hyperline.unfinished import Attempt, decide

HOUR = 60 * 60
DAY = 24 * HOUR
NOW = 1_800_000_000.0
ACCEPTED = Attempt(NOW, has_accepted=True, is_complete=True)
NOT_ACCEPTED = Attempt(NOW, has_accepted=False, is_complete=True)
INCOMPLETE = Attempt(NOW, has_accepted=False, is_complete=False)


def iso(age: float) -> str:
    """Return the time *age* seconds ago in ISO 8601."""
    return datetime.fromtimestamp(NOW - age, UTC).isoformat()


def message(
    age: float = 0, isolated: float | None = None, stored: float | None = None
) -> ReceivedMessage:
    """Return a message that was sent, isolated and first stored so many seconds ago."""
    return ReceivedMessage(
        id="1",
        receipt_handle="handle",
        body="",
        sent_at=NOW - age,
        receives=3,
        attributes=Attributes(
            stored_at="" if stored is None else iso(stored),
            isolated_at="" if isolated is None else iso(isolated),
        ),
    )


def result(outcome: Outcome = Outcome.PENDING, *, is_alone: bool = False) -> Result:
    """Return the result of an event."""
    event = Event("{}", "m-1", attributes=Attributes(stored_at=iso(0)))
    reason = "Hyperline failed (503)"
    failure = Failure(
        Kind.UNAVAILABLE, Code.HYPERLINE_FAILED, reason, is_alone=is_alone
    )
    return Result(event, outcome, failure.code, reason, failure=failure)


WAITING = result()
FAILED = result(is_alone=True)
DELIVERED = result(Outcome.DELIVERED)


def outcomes(
    received: ReceivedMessage, attempt: Attempt, *results: Result
) -> list[str]:
    """Return the outcome of each event, with a mark if it is isolated."""
    return [
        decided.outcome.name + "*" * bool(decided.event.attributes.isolated_at)
        for decided in decide(received, results, attempt)
    ]


def test_a_message_stays_whole_if_nothing_of_it_is_finished() -> None:
    """It keeps its number of receives, and so its backoff."""
    throttled = result(Outcome.THROTTLED)
    parked = result(Outcome.PARKED)

    decided = outcomes(message(), INCOMPLETE, WAITING, throttled, parked)

    assert decided == ["PENDING"] * 3


def test_the_rest_of_a_message_gets_a_message_of_its_own() -> None:
    """What is delivered must not be posted again."""
    decided = outcomes(message(), INCOMPLETE, DELIVERED, WAITING)

    assert decided == ["DELIVERED", "PARKED"]


def test_an_event_that_fails_alone_is_isolated_while_others_are_accepted() -> None:
    """The others leave its message, so that they don't wait for it."""
    decided = outcomes(message(), ACCEPTED, FAILED, WAITING, DELIVERED)

    assert decided == ["PARKED*", "PARKED", "DELIVERED"]


def test_a_message_stays_if_none_of_its_events_failed_alone() -> None:
    """It was not reached, although Hyperline accepts others."""
    assert outcomes(message(), ACCEPTED, WAITING, WAITING) == ["PENDING"] * 2


def test_the_rest_of_a_message_is_not_isolated_during_an_outage() -> None:
    """The event that failed alone says nothing, as no other was accepted."""
    filtered = result(Outcome.FILTERED)

    assert outcomes(message(), NOT_ACCEPTED, filtered, FAILED) == ["FILTERED", "PARKED"]


def test_an_isolated_event_remains_as_old_as_it_is() -> None:
    """If its time began again in a new message, it would never be quarantined."""
    attributes = Attributes(stored_at=iso(DAY), isolated_at=iso(HOUR))
    isolated = FAILED._replace(event=FAILED.event._replace(attributes=attributes))

    parked, _ = decide(message(isolated=HOUR), [isolated, DELIVERED], ACCEPTED)

    assert parked.outcome is Outcome.PARKED
    assert parked.event.attributes == attributes


@pytest.mark.parametrize(
    ("age", "receives", "outcome"),
    [
        (12 * DAY - 1, 900, "PENDING"),
        (12 * DAY + 1, 1, "QUARANTINED"),
        (0, 901, "QUARANTINED"),
    ],
)
def test_a_message_is_quarantined_before_sqs_deletes_it(
    age: float, receives: int, outcome: str
) -> None:
    """After 14 days, or 1,000 receives, its events would be lost or unexplained."""
    received = message(age=age)._replace(receives=receives)

    assert outcomes(received, NOT_ACCEPTED, WAITING) == [outcome]


def test_a_single_event_is_isolated_as_well() -> None:
    """From then on it is posted apart, and retried with longer pauses."""
    assert outcomes(message(), ACCEPTED, FAILED) == ["PARKED*"]


def test_nothing_is_isolated_during_an_outage() -> None:
    """Any event would fail."""
    assert outcomes(message(), NOT_ACCEPTED, FAILED, WAITING) == ["PENDING"] * 2


def test_an_isolated_event_stays_in_its_message() -> None:
    """Otherwise its backoff would begin again."""
    assert outcomes(message(isolated=HOUR), ACCEPTED, FAILED) == ["PENDING"]


@pytest.mark.parametrize(
    ("isolated", "attempt", "outcome"),
    [
        (DAY - 1, ACCEPTED, "PENDING"),
        (DAY + 1, ACCEPTED, "QUARANTINED"),
        (DAY + 1, NOT_ACCEPTED, "PENDING"),
        (2 * DAY - 1, NOT_ACCEPTED, "PENDING"),
        (2 * DAY + 1, NOT_ACCEPTED, "QUARANTINED"),
        (2 * DAY + 1, INCOMPLETE, "PENDING"),
    ],
)
def test_an_isolated_event_is_quarantined_after_a_day_or_two(
    isolated: float, attempt: Attempt, outcome: str
) -> None:
    """A day if Hyperline accepts others, two if there is no other to compare with."""
    received = message(isolated=isolated)

    assert outcomes(received, attempt, FAILED) == [outcome]
    (decided,) = decide(received, [FAILED], attempt)
    expected = Code.NOT_ACCEPTED if outcome == "QUARANTINED" else FAILED.code
    assert decided.code is expected


@pytest.mark.parametrize("attempt", [ACCEPTED, NOT_ACCEPTED])
def test_an_isolated_event_that_was_not_posted_is_not_quarantined(
    attempt: Attempt,
) -> None:
    """It can't be known whether it would fail again."""
    assert outcomes(message(isolated=3 * DAY), attempt, WAITING) == ["PENDING"]


@pytest.mark.parametrize(
    ("age", "outcome"), [(2 * DAY - 1, "PENDING"), (2 * DAY + 1, "QUARANTINED")]
)
def test_a_lonely_event_is_quarantined_two_days_after_its_message_was_sent(
    age: float, outcome: str
) -> None:
    """It is never isolated, because there is no other that Hyperline accepts.

    When it was first stored doesn't count, because it may have been redriven.
    """
    received = message(age, stored=9 * DAY)

    assert outcomes(received, NOT_ACCEPTED, FAILED) == [outcome]
    assert outcomes(received, INCOMPLETE, FAILED) == ["PENDING"]
    assert outcomes(received, ACCEPTED, FAILED) == ["PARKED*"]


@pytest.mark.parametrize(
    ("received", "attempt", "reason"),
    [
        (
            message(isolated=2 * DAY),
            ACCEPTED,
            "not accepted for 24 hours, while Hyperline accepts other events",
        ),
        (
            message(isolated=3 * DAY),
            NOT_ACCEPTED,
            "not accepted for 48 hours, without other events to compare it with",
        ),
        (message(age=12.1 * DAY), ACCEPTED, "not delivered for too long"),
        (
            message()._replace(receives=901),
            ACCEPTED,
            "not delivered for too long",
        ),
    ],
)
def test_the_reason_says_why_it_was_quarantined_and_what_was_seen(
    received: ReceivedMessage, attempt: Attempt, reason: str
) -> None:
    """Events of the message that are finished keep their outcome."""
    quarantined, delivered = decide(received, [FAILED, DELIVERED], attempt)

    assert quarantined.outcome is Outcome.QUARANTINED
    assert quarantined.reason == f"{reason}: Hyperline failed (503)"
    assert delivered == DELIVERED


def test_an_attempt_is_complete_if_each_other_event_was_tried() -> None:
    """Isolated events don't count, because there can be too many for an attempt."""
    isolated = WAITING._replace(
        event=WAITING.event._replace(attributes=Attributes(isolated_at=iso(0)))
    )

    def is_complete(*results: Result) -> bool:
        return Attempt.create(Results(list(results)), NOW).is_complete

    assert is_complete(DELIVERED, FAILED, isolated)
    assert not is_complete(DELIVERED, FAILED, WAITING)


@pytest.mark.parametrize("has_accepted", [False, True])
def test_an_attempt_knows_whether_hyperline_accepted_a_post(
    *, has_accepted: bool
) -> None:
    """That decides whether an event that failed is isolated."""
    results = Results([FAILED], Posts(has_accepted=has_accepted))

    assert Attempt.create(results, NOW) == Attempt(NOW, has_accepted, is_complete=True)


@pytest.mark.parametrize(
    ("receives", "isolated", "seconds"),
    [
        *(
            (0, None, 60),
            (1, None, 60),
            (2, None, 120),
            (5, None, 900),
            (900, None, 900),
        ),
        *((1, 0, 900), (2, 0, 1_800), (5, 0, 14_400), (900, 0, 14_400)),
    ],
)
def test_the_delay_doubles(receives: int, isolated: float | None, seconds: int) -> None:
    """From 1 to 15 minutes, and for an isolated event from 15 minutes to 4 hours."""
    received = message(isolated=isolated)._replace(receives=receives)

    assert choose_delay(received, 60, 1, 0) == seconds
    assert choose_delay(received, 60, 1.2, 0) == round(1.2 * seconds)
    assert choose_delay(received, 60, 1, 20_000) == max(seconds, HOUR)


@pytest.mark.parametrize(
    "text",
    ["", "2026-01-01", "20260101", "2026-01-01 00:00Z", "2026-01-01Tnoon", "x" * 10],
)
def test_a_time_in_another_form_is_ignored(text: str) -> None:
    """Then the time at which SQS got the message counts."""
    assert read_time(text, 5) == 5
    assert (
        read_time("1970-01-01T00:01:00Z", 5) == read_time("1970-01-01T00:01", 5) == 60
    )
