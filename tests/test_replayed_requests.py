"""What an attacker can do with a request that they have seen, which Segment has signed.

SECURITY.md lists the cases in which it isn't harmless.
"""

import pytest

from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import single, write
from tests.clock import Clock
from tests.conftest import Queue, Secret, Send
from tests.samples import read_rules, track

SEEN = single(write(track()))


def test_a_replayed_request_changes_nothing(
    send: Send, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """However often it arrives, its event is billed once, as before."""
    send(SEEN)
    before = dict(hyperline.store)

    for _ in range(3):
        assert send(SEEN).counts == {"delivered": 1}

    assert len(before) == 1
    assert hyperline.store == before
    assert quarantine.messages() == []


def test_a_replayed_original_overwrites_a_correction(
    send: Send, hyperline: FakeHyperline
) -> None:
    """Both have the same id, and Hyperline keeps the last one."""
    send(SEEN)
    before = dict(hyperline.store)
    send(track(properties={"seats": 30}))
    assert hyperline.store != before

    send(SEEN)

    assert hyperline.store == before


def test_a_replayed_request_is_billed_again_under_another_name(
    send: Send, hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is a part of the identity."""
    send(SEEN)
    rules = read_rules('type = "track"\nevent_type = "\'Seats\'"\nrecord = {}')
    monkeypatch.setattr("receiver.RULES", rules)

    send(SEEN)

    assert {name for name, _ in hyperline.store} == {"Seats Added", "Seats"}


def test_a_request_of_the_sandbox_is_billed_in_production(
    send: Send, hyperline: FakeHyperline, secret: Secret, clock: Clock
) -> None:
    """A signature doesn't say for which environment it was made."""
    send(SEEN)
    hyperline.store.clear()
    hyperline.key = "prod_1"
    secret.put(hyperline_api_key=hyperline.key)
    clock.wait(10)

    assert send(SEEN).counts == {"delivered": 1}

    assert len(hyperline.store) == 1


def test_a_new_shared_secret_ends_replays(
    send: Send, hyperline: FakeHyperline, secret: Secret, clock: Clock
) -> None:
    """First Segment could still retry the request, and later nobody."""
    send(SEEN)
    hyperline.requests.clear()
    statuses = []

    for number in range(2):
        secret.put(segment_shared_secret=f"another-shared-secret-{number}")
        clock.wait(60)
        statuses.append(send(SEEN).status)

    assert statuses == [503, 401]
    assert hyperline.requests == []
