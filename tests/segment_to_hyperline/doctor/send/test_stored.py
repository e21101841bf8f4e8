"""What Hyperline stored of the event is compared, and deleted."""

import json
import time
from typing import Any

import pytest

from local_stack.fake_api import KEY, FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.doctor.send.stored import (
    Stored,
    compare,
)
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.reconciliation.api.failures import AccessError
from tests.clock import Clock
from tests.samples import read_rules, track

RULES = read_rules(
    'each = "properties.items"\nevent_type = "item.type"\nrecord = {n = "item.n"}'
)


def bill(*items: tuple[str, Any]) -> tuple[BillableEvent, ...]:
    """Return the billable events of an event with these *items*, by type."""
    elements = [{"type": kind, "n": n} for kind, n in items]
    event = track(messageId="doctor-1", properties={"items": elements})
    return apply_rules(RULES, event)


BILLABLE = bill(("A", 1), ("B", 2), ("A", 3))


def store(hyperline: FakeHyperline, *billable: BillableEvent) -> None:
    """Let Hyperline have these events."""
    for each in billable:
        hyperline.store[each.key.event_type, each.key.record_id] = each.json
    hyperline.rows.forget()


@pytest.fixture
def stored(hyperline: FakeHyperline, clock: Clock) -> Stored:
    """What Hyperline has of `BILLABLE`, which the deployed mapping bills, too."""
    assert clock
    endpoint, keys = Endpoint(hyperline.url, KEY), [each.key for each in BILLABLE]
    return Stored(endpoint, "doctor-1", BILLABLE, time.sleep, keys)


def test_all_events_are_read_back(hyperline: FakeHyperline, stored: Stored) -> None:
    """Those of each element, whatever their types are."""
    store(hyperline, *BILLABLE)

    found = stored.read((), is_delivered=True)

    assert found.is_stored
    assert found.step == (
        "ok",
        "read back",
        (
            "Hyperline stored 3 events, with the event type, record and timestamp that"
            " the mapping bills"
        ),
        "",
    )


def test_they_are_waited_for(
    hyperline: FakeHyperline, stored: Stored, clock: Clock
) -> None:
    """Hyperline can return an event later than it accepts it."""
    reads = iter(BILLABLE)
    hyperline.rows.before_read = lambda: store(hyperline, *[next(reads, BILLABLE[0])])

    found = stored.read((1, 2), is_delivered=True)

    assert found.step.result == "ok"
    assert 1 in clock.pauses
    assert 2 not in clock.pauses


def test_all_events_of_the_deployed_mapping_are_missing(
    hyperline: FakeHyperline, clock: Clock
) -> None:
    """It isn't right that nothing is stored, if this mapping bills nothing."""
    assert clock
    keys = [each.key for each in BILLABLE]
    endpoint = Endpoint(hyperline.url, KEY)

    found = Stored(endpoint, "doctor-1", (), time.sleep, keys).read(
        (), is_delivered=True
    )

    assert found.is_stored
    assert found.step.result == "unknown"
    assert "doesn't return record.id doctor-1:0" in found.step.evidence


def test_without_the_response_it_is_not_known_what_is_stored(
    hyperline: FakeHyperline, clock: Clock
) -> None:
    """Unless all events of this mapping are found."""
    assert clock
    endpoint = Endpoint(hyperline.url, KEY)
    stored = Stored(endpoint, "doctor-1", BILLABLE, time.sleep)

    for billable, read, delete in (
        (BILLABLE[:0], "unknown", "unknown"),
        (BILLABLE[:1], "wrong", "unknown"),
        (BILLABLE, "ok", "ok"),
    ):
        store(hyperline, *billable)
        found = stored.read((), is_delivered=False)
        assert (found.step.result, found.is_stored) == (read, True)
        assert stored.delete(()).result == delete


def test_some_are_missing(hyperline: FakeHyperline, stored: Stored) -> None:
    """Then the deployed mapping can be another one."""
    store(hyperline, BILLABLE[0])

    found = stored.read((1,), is_delivered=True)

    assert found.is_stored
    assert found.step.result == "wrong"
    assert found.step.evidence == (
        "Hyperline doesn't return record.id doctor-1:1, doctor-1:2"
    )


def test_all_are_missing(stored: Stored) -> None:
    """They can have another type, or be in the environment of the previous key."""
    found = stored.read((), is_delivered=True)

    assert found.is_stored
    assert found.step.result == "unknown"
    assert "if the secret had another key in the last 5 minutes" in found.step.remedy


def test_nothing_was_to_be_stored(stored: Stored) -> None:
    """An event that wasn't delivered is stored nowhere, as it should be."""
    found = stored.read((), is_delivered=False)

    assert found == (
        ("ok", "read back", "Hyperline stored nothing of the event", ""),
        False,
    )


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"record": {"id": "doctor-1:0", "n": 2}}, "record.n"),
        ({"record": {"id": "doctor-1:0", "n": True}}, "record.n"),
        ({"record": {"id": "doctor-1:0", "n": 1, "m": 1}}, "record.m"),
        ({"timestamp": "2026-01-01T00:00:00Z"}, "timestamp"),
    ],
)
def test_something_else_is_stored(
    hyperline: FakeHyperline, stored: Stored, changes: dict[str, Any], fields: str
) -> None:
    """The fields that differ are named, without their values."""
    store(hyperline, *BILLABLE)
    first = json.loads(BILLABLE[0].json) | changes
    hyperline.store[BILLABLE[0].key[0], BILLABLE[0].key[1]] = json.dumps(first).encode()
    hyperline.rows.forget()

    found = stored.read((), is_delivered=True)

    assert found.is_stored
    assert found.step.result == "wrong"
    assert found.step.evidence == (
        f"Hyperline stored something else than the mapping bills: {fields}"
    )


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "rejected the API key (401)"),
        (403, "no permission (403) to read billable events"),
        (503, "server error (503)"),
    ],
)
def test_it_can_not_be_read(
    hyperline: FakeHyperline, stored: Stored, status: int, reason: str
) -> None:
    """Then it can be stored, so that it has to be deleted."""
    hyperline.outage = FakeResponse(status)

    found = stored.read((), is_delivered=True)

    assert found.is_stored
    assert found.step.result == "unknown"
    assert reason in found.step.remedy


def test_all_events_are_deleted_and_no_others(
    hyperline: FakeHyperline, stored: Stored
) -> None:
    """DELETE takes no event type, and the ids are of this event only."""
    other = apply_rules(read_rules("record = {}"), track(messageId="doctor-2"))
    store(hyperline, *BILLABLE, *other)

    step = stored.delete(())

    assert step == (
        "ok",
        "delete",
        "Hyperline confirmed the deletion, and returns none of the events",
        "",
    )
    assert [*hyperline.store] == [tuple(other[0].key)]
    (request,) = hyperline.requests
    assert json.loads(request.body) == {
        "matching": "record_ids",
        "record_ids": ["doctor-1", *(f"doctor-1:{index}" for index in range(1_000))],
    }


def test_the_deletion_is_waited_for(
    hyperline: FakeHyperline, stored: Stored, clock: Clock
) -> None:
    """Hyperline can return an event for a while after it was deleted."""
    reads = iter([BILLABLE[0]])
    hyperline.rows.before_read = lambda: store(hyperline, *reads)

    def sleep(seconds: float) -> None:
        if seconds:
            hyperline.store.clear()
            hyperline.rows.forget()

    endpoint = Endpoint(hyperline.url, KEY)

    keys = [each.key for each in BILLABLE]
    step = Stored(endpoint, "doctor-1", BILLABLE, sleep, keys).delete((1,))

    assert step.result == "ok"
    assert stored.record_ids
    assert clock


def test_the_events_stay_after_the_deletion(
    hyperline: FakeHyperline, stored: Stored
) -> None:
    """The answer says for which ids to look."""
    hyperline.rows.before_read = lambda: store(hyperline, *BILLABLE)

    step = stored.delete((1,))

    assert step.result == "unknown"
    assert step.remedy == (
        "look again later for record.id doctor-1, or that with a colon and a number"
    )


def test_the_key_may_not_delete(hyperline: FakeHyperline, stored: Stored) -> None:
    """The permission is named."""
    hyperline.outage = FakeResponse(403)

    step = stored.delete(())

    assert step.result == "unknown"
    assert "no permission (403) to delete billable events" in step.remedy


def test_a_key_that_can_not_be_sent() -> None:
    """It isn't sent."""
    with pytest.raises(AccessError):
        Stored(Endpoint("http://127.0.0.1:9", "a b"), "1", BILLABLE, time.sleep)


def test_long_lists_of_ids_are_shortened() -> None:
    """An event can have a thousand elements."""
    evidence = compare(bill(*[("A", 1)] * 1_000), {}).evidence

    assert evidence.endswith("doctor-1:3, doctor-1:4 and 995 more")
