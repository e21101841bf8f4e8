"""The table of outcomes is complete, and its columns agree with each other."""

from itertools import combinations_with_replacement

import pytest

import receiver
from segment_to_hyperline.hyperline.failures import Kind
from segment_to_hyperline.outcomes import AFTER_FAILURE, Outcome, response_status
from segment_to_hyperline.report import count_outcomes
from segment_to_hyperline.segment.facts import is_retried
from segment_to_hyperline.telemetry import UNITS

# The outcomes of events that Segment must retry.
UNFINISHED = {Outcome.PENDING, Outcome.THROTTLED}
# The outcomes of events that stay in the Replay queue.
NOT_FINAL = UNFINISHED | {Outcome.PARKED}
PAIRS = list(combinations_with_replacement(Outcome, 2))


@pytest.mark.parametrize("outcome", Outcome)
def test_segment_retries_only_unfinished_events(outcome: Outcome) -> None:
    """An event that is neither finished nor stored would otherwise be lost."""
    assert outcome.is_unfinished == (outcome in UNFINISHED)
    assert is_retried(outcome.value.status) == outcome.is_unfinished


@pytest.mark.parametrize("outcome", Outcome)
def test_a_final_outcome_needs_no_further_replay(outcome: Outcome) -> None:
    """The event is delivered, or needs none, or is stored in Quarantine."""
    assert outcome.is_final == (outcome not in NOT_FINAL)


def test_each_kind_of_failure_has_an_outcome() -> None:
    """Only what Hyperline rejects for the event itself needs a person."""
    assert AFTER_FAILURE.keys() == set(Kind)
    final = {kind for kind, outcome in AFTER_FAILURE.items() if outcome.is_final}
    assert final == {Kind.REJECTED}
    assert AFTER_FAILURE[Kind.REJECTED].value.queue == "Quarantine"


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ({Outcome.PENDING}, 503),
        ({Outcome.THROTTLED}, 429),
        ({Outcome.PARKED}, 200),
        ({Outcome.PARKED, Outcome.QUARANTINED}, 200),
        ({Outcome.DELIVERED}, 200),
        ({Outcome.FILTERED}, 200),
        ({Outcome.PREVIEWED}, 200),
        ({Outcome.QUARANTINED}, 422),
        (set(Outcome), 503),
        (set(Outcome) - {Outcome.PENDING}, 429),
        (set(Outcome) - UNFINISHED, 200),
    ],
)
def test_the_first_outcome_of_the_table_decides(
    outcomes: set[Outcome], status: int
) -> None:
    """PENDING has precedence over THROTTLED, and both over all others."""
    assert response_status(outcomes) == status


@pytest.mark.parametrize("pair", PAIRS)
def test_any_two_outcomes_have_a_status(pair: tuple[Outcome, Outcome]) -> None:
    """The order of the events in a request makes no difference."""
    if Outcome.PENDING in pair:
        expected = 503
    elif Outcome.THROTTLED in pair:
        expected = 429
    elif set(pair) == {Outcome.QUARANTINED}:
        expected = 422
    else:
        expected = 200

    assert response_status(pair) == expected
    assert response_status(reversed(pair)) == expected


@pytest.mark.parametrize("pair", PAIRS)
def test_a_request_is_retried_if_an_event_is_unfinished(
    pair: tuple[Outcome, Outcome],
) -> None:
    """Otherwise events would be lost, or retried for no reason."""
    assert is_retried(response_status(pair)) == bool(UNFINISHED & set(pair))


def test_each_label_is_a_metric() -> None:
    """It has a name that CloudWatch accepts, and one of its own."""
    rejections = {rejection.metric for rejection in receiver.REJECTIONS.values()}
    names = {outcome.value.metric for outcome in Outcome}

    assert names | rejections <= UNITS.keys()
    assert all(name.isascii() and name.isalpha() for name in UNITS)
    assert not names & rejections
    assert len(names) == len({outcome.value.label for outcome in Outcome})


def test_each_label_is_a_count() -> None:
    """A count is never confused with another field of the response or the log."""
    labels = {outcome.value.label for outcome in Outcome}

    assert count_outcomes(Outcome).keys() == labels
    assert not labels & {"status", "errors", "preview"}


def test_only_a_rare_count_is_omitted_if_it_is_zero() -> None:
    """Dashboards get a value for every other count of every request."""
    rare = {outcome.value.label for outcome in Outcome if outcome.value.is_rare}
    others = {outcome.value.label for outcome in Outcome} - rare

    assert rare == {"previewed"}
    assert count_outcomes([]) == dict.fromkeys(others, 0)
