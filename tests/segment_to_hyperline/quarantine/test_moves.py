"""Moving events: nothing is lost, whenever the command is killed."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_stack.segment_requests import write
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.attributes import Attributes
from segment_to_hyperline.aws.messages import MAX_MESSAGE_BYTES, ReceivedMessage
from segment_to_hyperline.quarantine.moves import execute, plan_moves
from segment_to_hyperline.quarantine.site import Site
from segment_to_hyperline.quarantine.waiting import read_message
from tests.conftest import Queue
from tests.fake_aws import FakeAws
from tests.segment_to_hyperline.quarantine.helpers import (
    RULES,
    STORED_AT,
    Cut,
    create_site,
    event,
    make_visible,
    put,
    read_ids,
)

# The numbers of the events of each message, and of those that are selected.
type Layout = list[list[int]]
REQUESTS = 12


@pytest.fixture
def cut(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cut]:
    """A proxy in front of SQS."""
    with Cut(aws.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


@pytest.fixture
def site(cut: Cut, quarantine: Queue, replay_queue: Queue) -> Site:
    """The queues of a stack, behind the proxy."""
    assert cut
    return create_site(quarantine, replay_queue)


def interrupt() -> None:
    """Press Ctrl-C."""
    raise KeyboardInterrupt


def move(
    site: Site,
    selected: set[str],
    *,
    sends: bool = True,
    wait: Callable[[], object] = dict,
) -> list[str]:
    """Redrive the selected events, or purge them; return what failed."""
    with site.look(RULES) as contents:
        chosen = [e for e in contents.events if e.message_id in selected]
        texts = {e.place: e.element.text if sends else None for e in chosen}
        moves = plan_moves(contents.events, texts)
        done = execute(moves, site.quarantine, site.replay, wait)
        return [moved.problem for moved in done if moved.problem]


def ids(*numbers: int) -> set[str]:
    """Return the messageIds of events with these numbers."""
    return {f"m-{number}" for number in numbers}


def test_only_selected_events_are_moved(
    site: Site, quarantine: Queue, replay_queue: Queue
) -> None:
    """The others stay, with their reason, their time and their environment."""
    put(quarantine, [event(0), event(1), event(2)], [event(3)])

    assert move(site, ids(1, 3)) == []

    assert read_ids(replay_queue.take()) == {"m-1": 1, "m-3": 1}
    assert read_ids(quarantine.take()) == {"m-0": 1, "m-2": 1}


def test_what_is_moved_is_tried_like_any_other_event() -> None:
    """It isn't isolated any more, and the environment is only changed of what moves."""
    attributes = Attributes(STORED_AT, "sandbox", "2026-11-20T09:00:00+00:00")
    content = json.dumps({"reason": "no customer", "events": [event(0), event(1)]})
    message = ReceivedMessage("id", "handle", content, 0, 1, attributes)
    events = read_message(message, RULES)

    (planned,) = plan_moves(events, {events[0].place: "{}"}, "production")

    (moved,), (left,) = planned.to_replay, planned.to_quarantine
    assert moved.attributes == Attributes(STORED_AT, "production")
    assert left.attributes == Attributes(STORED_AT, "sandbox")


def test_a_message_without_selected_events_is_not_touched(
    site: Site, quarantine: Queue, replay_queue: Queue, cut: Cut
) -> None:
    """It is only looked at, and visible again."""
    put(quarantine, [event(0)])

    assert move(site, set()) == []

    assert read_ids(quarantine.take()) == {"m-0": 1}
    assert replay_queue.take() == []
    assert "DeleteMessageBatch" not in cut.operations


def test_a_message_that_becomes_too_large_stays(
    site: Site, quarantine: Queue, replay_queue: Queue
) -> None:
    """Those of version 0.1.0 had no attributes, and a message of 1 MiB has no room."""
    text = write(event(0, context={"x": "x"}))
    body = f'{{"reason": "no customer", "events": [{text}]}}'
    large = body.replace('"x":"x', '"x":"' + "x" * (MAX_MESSAGE_BYTES - len(body) + 1))
    quarantine.put(large, {})

    problems = move(site, ids(0))

    assert problems == ["it is too large for a message of Replay"]
    assert replay_queue.take() == []
    assert [each["Body"] for each in quarantine.take()] == [large]


def test_ctrl_c_makes_everything_visible_at_once(
    site: Site, quarantine: Queue, replay_queue: Queue
) -> None:
    """Nobody has to wait for 15 minutes."""
    put(quarantine, [event(0), event(1)], [event(2)])

    with pytest.raises(KeyboardInterrupt):
        move(site, ids(0, 2), wait=interrupt)

    assert read_ids(quarantine.take()) == {"m-0": 1, "m-1": 1, "m-2": 1}
    assert replay_queue.take() == []


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    chosen=st.sets(st.integers(0, 5), min_size=1),
    kills=st.lists(st.tuples(st.integers(3, 9), st.booleans()), min_size=1, max_size=3),
    sends=st.booleans(),
)
def test_no_sequence_of_kills_loses_an_event(
    cut: Cut,
    site: Site,
    quarantine: Queue,
    replay_queue: Queue,
    sizes: list[int],
    chosen: set[int],
    kills: list[tuple[int, bool]],
    sends: bool,  # noqa: FBT001 - an argument of hypothesis
) -> None:
    """Each stays in one of the queues; a purge loses only what it has in files."""
    number, groups = 0, []
    for size in sizes:
        groups.append([event(n) for n in range(number, number + size)])
        number += size
    put(quarantine, *groups)
    everything = ids(*range(number))
    selected = ids(*chosen) & everything

    for requests, loses_response in kills:
        cut.left, cut.loses_response = requests, loses_response
        with suppress(InputError):
            move(site, selected, sends=sends)
        cut.restore()
        make_visible(quarantine)

    assert move(site, selected, sends=sends) == []
    moved, left = read_ids(replay_queue.take()), read_ids(quarantine.take())
    assert set(moved) == (selected if sends else set())
    assert set(left) == everything - selected


@pytest.mark.parametrize("loses_response", [False, True])
@pytest.mark.parametrize("requests", range(1, REQUESTS))
def test_a_command_that_is_killed_at_any_request_loses_nothing(
    cut: Cut,
    site: Site,
    quarantine: Queue,
    replay_queue: Queue,
    requests: int,
    loses_response: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Before anything else is done, each event is in one of the queues."""
    put(quarantine, [event(0), event(1)], [event(2)])
    cut.left, cut.loses_response = requests, loses_response

    with suppress(InputError):
        move(site, ids(0, 2))

    cut.restore()
    make_visible(quarantine)
    moved, left = read_ids(replay_queue.take()), read_ids(quarantine.take())
    assert set(moved) | set(left) == ids(0, 1, 2)
    assert not set(moved) & ids(1)
