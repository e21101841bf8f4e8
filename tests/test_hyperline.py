"""Outbound: what Hyperline is sent, and what its replies mean."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
import trustme

import hyperline
from billable import BillableEvent, Key
from deadline import Deadline
from fake_hyperline import KEY, Answer, FakeHyperline, Manner


@pytest.fixture
def server() -> Iterator[FakeHyperline]:
    """A Hyperline on a loopback port."""
    with FakeHyperline() as server:
        yield server


def event(number: int, customer: str = "c", **record: object) -> BillableEvent:
    """Return the billable event with this number."""
    return BillableEvent.of(
        Key("Seats Added", f"m-{number}"),
        customer_id=customer,
        timestamp="2026-01-16T09:30:59.243Z",
        record=record,
    )


def deliver(
    server: FakeHyperline, *events: BillableEvent, seconds: float = 5
) -> dict[str, str | None]:
    """Deliver *events*; return for each record.id None, or what failed and why."""
    results = hyperline.deliver(events, server.url, KEY, Deadline(seconds))
    return {
        key.record_id: result and f"{type(result).__name__}: {result.args[0]}"
        for key, result in results.items()
    }


def test_one_event_is_posted_alone(server: FakeHyperline) -> None:
    """A single event goes to the path for single events, with the key as its bearer."""
    assert deliver(server, event(1)) == {"m-1": None}

    (request,) = server.requests
    assert request.path == "/v1/events"
    assert request.authorization == f"Bearer {KEY}"
    assert request.body == event(1).json


def test_several_events_are_posted_together(server: FakeHyperline) -> None:
    """Several events are one call, in the order they came."""
    assert deliver(server, event(1), event(2)) == {"m-1": None, "m-2": None}

    (request,) = server.requests
    assert request.path == "/v1/events/batch"
    assert request.body == b"[" + event(1).json + b"," + event(2).json + b"]"


def test_no_call_holds_too_many_events(server: FakeHyperline) -> None:
    """Hyperline takes 5,000 events a call."""
    results = deliver(server, *map(event, range(5_001)))

    assert set(results.values()) == {None}
    assert len(server.store) == 5_001
    assert [len(json.loads(r.body)) for r in server.requests[:1]] == [5_000]
    assert server.requests[1].path == "/v1/events"


def test_no_call_is_too_large(server: FakeHyperline) -> None:
    """A call has at most 4 MB, filled up to the last byte that fits."""
    half = 2_000_000 - len(event(1, text="").json) - 2
    events = [event(n, text="x" * half) for n in range(4)]
    assert len(b"[" + events[0].json + b"," + events[1].json + b"]") == 3_999_999

    deliver(server, *events)

    assert [len(request.body) for request in server.requests] == [3_999_999] * 2


def test_an_event_twice_is_sent_once(server: FakeHyperline) -> None:
    """Hyperline keeps the later of two events with one key, so only that is sent."""
    assert deliver(server, event(1, seats=1), event(1, seats=2)) == {"m-1": None}

    assert [request.body for request in server.requests] == [event(1, seats=2).json]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize("body", [b"", b"rubbish", b"[]", b"{}", b"[" * 99_999])
def test_any_2xx_is_a_success(server: FakeHyperline, status: int, body: bytes) -> None:
    """Hyperline's success has been 201 and 202, with and without a body."""
    server.answers(Answer(status, b"" if status == 204 else body))

    assert deliver(server, event(1)) == {"m-1": None}


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (301, "Unavailable: Hyperline redirected the call; check HYPERLINE_URL (301)"),
        (302, "Unavailable: Hyperline redirected the call; check HYPERLINE_URL (302)"),
        (400, "Rejected: Hyperline refused the event (400)"),
        (401, "KeyRefused: Hyperline refused the API key; put a valid one into the"),
        (403, "KeyRefused: Hyperline refused the API key; put a valid one into the"),
        (404, "Rejected: Hyperline refused the event (404)"),
        (408, "Unavailable: Hyperline gave up waiting for the call (408)"),
        (409, "Rejected: Hyperline refused the event (409)"),
        (422, "Rejected: Hyperline refused the event (422)"),
        (429, "Throttled: Hyperline gets too many calls (429)"),
        (500, "Unavailable: Hyperline failed (500)"),
        (501, "Unavailable: Hyperline failed (501)"),
        (503, "Unavailable: Hyperline failed (503)"),
        (599, "Unavailable: Hyperline failed (599)"),
        (999, "Unavailable: Hyperline gave an answer that HTTP does not know (999)"),
    ],
)
def test_what_a_status_means(server: FakeHyperline, status: int, meaning: str) -> None:
    """Each status says what is to become of the event."""
    elsewhere = {"Location": f"{server.url}/v1/events"}
    server.answers(Answer(status, headers=elsewhere if status < 400 else {}))

    (result,) = deliver(server, event(1)).values()

    assert str(result).startswith(meaning)
    assert server.store == {}


def test_hyperlines_own_words_are_kept_apart(server: FakeHyperline) -> None:
    """What Hyperline says may quote the event, so it is not part of the reason."""
    server.refuses.add("jane@example.com")

    results = hyperline.deliver(
        [event(1, "jane@example.com")], server.url, KEY, Deadline(5)
    )

    (result,) = results.values()
    assert result is not None
    assert result.args == (
        "Hyperline refused the event (400)",
        "customer jane@example.com does not exist",
    )


def test_events_that_failed_inside_a_success_are_rejected(
    server: FakeHyperline,
) -> None:
    """A 2xx for a batch can hold events that Hyperline did not take."""
    server.refuses.add("nobody")

    results = deliver(server, event(1), event(2, "nobody"), event(3))

    assert results["m-1"] is results["m-3"] is None
    assert str(results["m-2"]).startswith("Rejected: Hyperline put it among the events")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "failed", [[{}], [1], ["m-1"], {"id": "m-1"}, 1, [{"event_type": [], "record": {}}]]
)
def test_events_that_failed_without_a_name_are_found(
    server: FakeHyperline, failed: object
) -> None:
    """If the reply does not tell which events failed, each is asked about by itself."""
    server.refuses.add("nobody")
    server.answers(Answer(201, json.dumps({"events_failed": failed}).encode()))

    results = deliver(server, event(1), event(2, "nobody"))

    assert results == {
        "m-1": None,
        "m-2": "Rejected: Hyperline refused the event (400)",
    }


def test_a_refused_batch_is_halved_until_the_cause_is_alone(
    server: FakeHyperline,
) -> None:
    """One event that Hyperline can't read does not keep its neighbours out."""
    broken = BillableEvent(Key("Seats Added", "m-3"), b'{"customer_id":1}')

    results = deliver(server, event(1), event(2), broken, event(4), event(5))

    reason = "Rejected: Hyperline refused the event (400)"
    assert results.pop("m-3") == reason
    assert set(results.values()) == {None}
    assert len(server.store) == 4


def test_the_first_unavailability_ends_the_delivery(server: FakeHyperline) -> None:
    """Segment will send the whole call again, so no more is asked of Hyperline."""
    events = [event(number, text="x" * 1_500_000) for number in range(5)]
    server.answers(201, 503)

    results = deliver(server, *events)

    reason = "Unavailable: Hyperline failed (503)"
    assert list(results.values()) == [None, None, reason, reason, reason]
    assert len(server.requests) == 2


def test_one_connection_serves_many_calls(server: FakeHyperline) -> None:
    """The connection is kept, as a new one costs more than the call."""
    for number in range(20):
        deliver(server, event(number))

    assert len({request.client_port for request in server.requests}) == 1


def test_a_connection_that_died_is_replaced_at_once(server: FakeHyperline) -> None:
    """A kept connection that broke while the function was frozen costs no retry."""
    deliver(server, event(1))
    server.answers(Answer(manner=Manner.DROPPED))

    assert deliver(server, event(2)) == {"m-2": None}

    ports = [request.client_port for request in server.requests]
    assert ports[0] == ports[1] != ports[2]


def test_a_connection_that_dies_again_is_unavailable(server: FakeHyperline) -> None:
    """More than one broken connection is a fault that Segment waits for."""
    server.answers(Answer(manner=Manner.DROPPED), Answer(manner=Manner.DROPPED))

    results = deliver(server, event(1))

    assert results == {"m-1": "Unavailable: Hyperline can't be reached: ProtocolError"}
    assert len(server.requests) == 2


def test_nobody_listening_is_unavailable() -> None:
    """A connection that is refused leaves the event to be sent again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    results = hyperline.deliver(
        [event(1)], f"http://127.0.0.1:{port}", KEY, Deadline(5)
    )

    (result,) = results.values()
    assert isinstance(result, hyperline.Unavailable)
    assert result.args == ("Hyperline can't be reached: NewConnectionError",)


def test_a_host_that_nobody_vouches_for_gets_nothing() -> None:
    """Neither the events nor the API key go to who only pretends to be Hyperline."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    received: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            received.append(context.wrap_socket(connection, server_side=True).recv(1))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        url = f"https://localhost:{listener.getsockname()[1]}"
        (result,) = hyperline.deliver([event(1)], url, KEY, Deadline(5)).values()
        server.join(5)

    assert isinstance(result, hyperline.Unavailable)
    assert result.args == ("Hyperline can't be reached: SSLError",)
    assert received in ([], [b""])


def test_a_host_that_does_not_answer_is_unavailable() -> None:
    """To connect is tried once, and no longer than there is time."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        # Linux lets one connection wait unaccepted, and does not answer to more.
        with socket.create_connection(address):
            results = hyperline.deliver(
                [event(1)], f"http://127.0.0.1:{address[1]}", KEY, Deadline(0.2)
            )

    (result,) = results.values()
    assert isinstance(result, hyperline.Unavailable)
    assert result.args == ("Hyperline did not answer in time",)


def test_a_slow_answer_is_unavailable(server: FakeHyperline) -> None:
    """Whether Hyperline took the event is not known, so it is sent again."""
    server.answers(Answer(202, b"", delay=1))

    results = deliver(server, event(1), seconds=0.1)

    assert results == {"m-1": "Unavailable: Hyperline did not answer in time"}


def test_hyperline_is_not_asked_when_the_time_is_over(server: FakeHyperline) -> None:
    """A call that could not be answered any more is not made."""
    results = deliver(server, event(1), seconds=0)

    assert results == {"m-1": "Unavailable: Hyperline did not answer in time"}
    assert server.requests == []


@pytest.mark.filterwarnings("ignore:URLs without a scheme:FutureWarning")
@pytest.mark.parametrize("url", ["nonsense", "http://", "http://[", "ftp://h"])
def test_an_impossible_address_is_unavailable(url: str) -> None:
    """A wrong HYPERLINE_URL is ours to mend, and no event is lost meanwhile."""
    (result,) = hyperline.deliver([event(1)], url, KEY, Deadline(5)).values()

    assert isinstance(result, hyperline.Unavailable)
