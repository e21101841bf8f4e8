"""The client: what is posted to Hyperline, and what happens if that fails."""

import importlib
import json
import random
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import certifi
import pytest
import trustme

from local_stack.fake_api import KEY, Ending, FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.hyperline import client, session
from segment_to_hyperline.hyperline.billable_event import BillableEvent, Key
from segment_to_hyperline.hyperline.host import find_host
from segment_to_hyperline.hyperline.plan import Outgoing, Strategy
from tests.clock import Clock

LATE = "UNAVAILABLE: Hyperline did not respond in time"
NO_TIME = "UNAVAILABLE: the time budget was exceeded before the post"
REDIRECTED = "UNAVAILABLE: Hyperline redirected the request; check HYPERLINE_URL"


@pytest.fixture
def server(clock: Clock) -> Iterator[FakeHyperline]:
    """A Hyperline on a loopback port, whose delays take no time."""
    assert clock
    with FakeHyperline() as server:
        yield server


@pytest.fixture
def other() -> Iterator[FakeHyperline]:
    """Another server, which must not get a request."""
    with FakeHyperline() as other:
        yield other


def event(number: int, customer: str = "c", **record: object) -> BillableEvent:
    """Return the billable event with this number."""
    return BillableEvent.create(
        {
            "customer_id": customer,
            "event_type": "Seats Added",
            "timestamp": "2026-01-16T09:30:59.243Z",
            "record": record | {"id": f"m-{number}"},
        }
    )


UNREACHABLE = "UNAVAILABLE: Hyperline can't be reached: ConnectionError"


def deliver_to(
    url: str, *events: BillableEvent, seconds: float = 5
) -> dict[str, str | None]:
    """Deliver *events*; return None or the failure for each record.id."""
    delivery = client.post_events(Outgoing(events), url, KEY, Deadline(seconds))
    return {
        key.record_id: failure and f"{failure.kind.name}: {failure.reason}"
        for key, failure in delivery.failures.items()
    }


def deliver(
    server: FakeHyperline, *events: BillableEvent, seconds: float = 5
) -> dict[str, str | None]:
    """Deliver *events* to *server*; return None or the failure for each record.id."""
    return deliver_to(server.url, *events, seconds=seconds)


def test_one_event_is_posted_alone(server: FakeHyperline) -> None:
    """It is posted to the path for single events, with the API key."""
    assert deliver(server, event(1)) == {"m-1": None}

    (request,) = server.requests
    assert request.path == "/v1/events"
    assert request.authorization == f"Bearer {KEY}"
    assert request.body == event(1).json


def test_several_events_are_posted_together(server: FakeHyperline) -> None:
    """They are posted in one request, in their order."""
    assert deliver(server, event(1), event(2)) == {"m-1": None, "m-2": None}

    (request,) = server.requests
    assert request.path == "/v1/events/batch"
    assert request.authorization == f"Bearer {KEY}"
    assert request.body == b"[" + event(1).json + b"," + event(2).json + b"]"


def test_the_paths_have_the_version_that_is_set(server: FakeHyperline) -> None:
    """The response of v2 has another name for the list of accepted events."""
    three = [event(number) for number in range(3)]
    deadline = Deadline(5)

    for outgoing in (three, three[:1]):
        delivery = client.post_events(
            Outgoing(outgoing), server.url, KEY, deadline, version="v2"
        )
        assert set(delivery.failures.values()) == {None}

    paths = [request.path for request in server.requests]
    assert paths == ["/v2/events/batch", "/v2/events"]


def test_no_events_are_no_request(server: FakeHyperline) -> None:
    """Hyperline rejects an empty batch."""
    assert deliver(server) == {}

    assert server.requests == []


def test_a_request_has_at_most_5000_events(server: FakeHyperline) -> None:
    """Hyperline rejects a larger batch."""
    results = deliver(server, *map(event, range(5_001)))

    assert set(results.values()) == {None}
    assert len(server.store) == 5_001
    assert [len(json.loads(r.body)) for r in server.requests[:1]] == [5_000]
    assert server.requests[1].path == "/v1/events"


def test_a_request_has_at_most_4_megabytes(server: FakeHyperline) -> None:
    """It contains as many events as fit."""
    half = 2_000_000 - len(event(1, text="").json) - 2
    events = [event(n, text="x" * half) for n in range(4)]
    assert len(b"[" + events[0].json + b"," + events[1].json + b"]") == 3_999_999

    deliver(server, *events)

    assert [len(request.body) for request in server.requests] == [3_999_999] * 2


@pytest.mark.parametrize(
    ("total", "requests"), [(3_999_999, 1), (4_000_000, 1), (4_000_001, 2)]
)
def test_the_limit_is_exact(server: FakeHyperline, total: int, requests: int) -> None:
    """The brackets and the comma of the array count too."""
    first = event(1, text="x" * 2_000_000)
    rest = total - len(b"[,]") - len(first.json) - len(event(2, text="").json)

    deliver(server, first, event(2, text="x" * rest))

    assert len(server.requests) == requests
    assert requests == 2 or len(server.requests[0].body) == total


def test_only_the_later_of_two_events_with_one_key_is_posted(
    server: FakeHyperline,
) -> None:
    """Hyperline would overwrite the earlier one."""
    assert deliver(server, event(1, seats=1), event(1, seats=2)) == {"m-1": None}

    assert [request.body for request in server.requests] == [event(1, seats=2).json]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_status_2xx_is_a_success(server: FakeHyperline, status: int) -> None:
    """A body is not required."""
    server.respond(FakeResponse(status, b""))

    assert deliver(server, event(1)) == {"m-1": None}


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (400, "REJECTED: Hyperline rejected the event (400)"),
        (401, "KEY_REJECTED: Hyperline rejected the API key; put a valid one into the"),
        (429, "THROTTLED: Hyperline's rate limit is exceeded (429)"),
        (500, "UNAVAILABLE: Hyperline failed (500)"),
        (999, "UNAVAILABLE: Hyperline returned an unknown HTTP status (999)"),
    ],
)
def test_another_status_is_a_failure(
    server: FakeHyperline, status: int, failure: str
) -> None:
    """The client itself never retries because of a status."""
    server.respond(status)

    (result,) = deliver(server, event(1)).values()

    assert str(result).startswith(failure)
    assert len(server.requests) == 1
    assert server.store == {}


def test_the_message_of_hyperline_is_a_detail(server: FakeHyperline) -> None:
    """It is not part of the reason, because it can contain values of the event."""
    server.unknown_customers.add("jane@example.com")

    delivery = client.post_events(
        Outgoing([event(1, "jane@example.com")]), server.url, KEY, Deadline(5)
    )

    (failure,) = delivery.failures.values()
    assert failure is not None
    assert failure.reason == "Hyperline rejected the event (400)"
    assert failure.detail == "customer jane@example.com does not exist"


def test_events_that_failed_in_an_accepted_batch_are_quarantined(
    server: FakeHyperline,
) -> None:
    """The response to a batch can be 2xx although some events were rejected."""
    server.unknown_customers.add("nobody")

    results = deliver(server, event(1), event(2, "nobody"), event(3))

    assert results["m-1"] is results["m-3"] is None
    assert str(results["m-2"]).startswith("REJECTED: Hyperline listed the event in")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "failed", [[{}], [1], ["m-1"], {"id": "m-1"}, 1, [{"event_type": [], "record": {}}]]
)
def test_events_that_a_batch_does_not_name_are_posted_alone(
    server: FakeHyperline, failed: object
) -> None:
    """If a response doesn't identify the failed events, each event is posted alone."""
    server.unknown_customers.add("nobody")
    server.respond(FakeResponse(201, json.dumps({"events_failed": failed}).encode()))

    results = deliver(server, event(1), event(2, "nobody"))

    assert results == {
        "m-1": None,
        "m-2": "REJECTED: Hyperline rejected the event (400)",
    }


def test_a_rejected_batch_is_bisected(server: FakeHyperline) -> None:
    """An event that Hyperline can't read doesn't affect the other events."""
    malformed = BillableEvent(Key("Seats Added", "m-3"), b'{"customer_id":1}')

    results = deliver(server, event(1), event(2), malformed, event(4), event(5))

    reason = "REJECTED: Hyperline rejected the event (400)"
    assert results.pop("m-3") == reason
    assert set(results.values()) == {None}
    assert len(server.store) == 4
    sizes = [request.body.count(b"customer_id") for request in server.requests]
    assert sizes == [5, 2, 3, 1, 2]


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (503, "UNAVAILABLE: Hyperline failed (503)"),
        (429, "THROTTLED: Hyperline's rate limit is exceeded (429)"),
    ],
)
def test_an_unavailable_hyperline_ends_the_delivery(
    server: FakeHyperline, status: int, failure: str
) -> None:
    """Segment retries the whole request, so nothing more is posted."""
    events = [event(number, text="x" * 1_500_000) for number in range(5)]
    server.respond(FakeResponse(202, b""), status)

    results = deliver(server, *events)

    assert list(results.values()) == [None, None, failure, failure, failure]
    assert len(server.requests) == 2


def test_a_connection_is_reused(server: FakeHyperline) -> None:
    """A new connection takes longer than a request."""
    for number in range(20):
        deliver(server, event(number))

    assert len({request.client_port for request in server.requests}) == 1


@pytest.mark.parametrize("ending", [Ending.CLOSED, Ending.RESET])
def test_a_broken_connection_is_replaced(server: FakeHyperline, ending: Ending) -> None:
    """A kept-alive connection can break while Lambda freezes the function."""
    deliver(server, event(1))
    server.respond(FakeResponse(ending=ending))

    assert deliver(server, event(2)) == {"m-2": None}

    ports = [request.client_port for request in server.requests]
    assert ports[0] == ports[1] != ports[2]


def test_a_truncated_response_is_retried(server: FakeHyperline) -> None:
    """It is the same as a broken connection."""
    server.respond(FakeResponse(202, ending=Ending.TRUNCATED))

    assert deliver(server, event(1)) == {"m-1": None}

    assert len(server.requests) == 2


def test_a_broken_connection_is_retried_once(server: FakeHyperline) -> None:
    """If the second connection breaks too, Segment retries."""
    server.respond(
        FakeResponse(ending=Ending.CLOSED), FakeResponse(ending=Ending.CLOSED)
    )

    results = deliver(server, event(1))

    assert results == {"m-1": UNREACHABLE}
    assert len(server.requests) == 2


def test_a_response_before_the_final_one_ends_the_connection(
    server: FakeHyperline,
) -> None:
    """Otherwise the final response would be read as that to the next post."""
    unknown = "UNAVAILABLE: Hyperline returned an unknown HTTP status (103)"
    server.respond(FakeResponse(103, b""))

    assert deliver(server, event(1)) == {"m-1": unknown}
    assert deliver(server, event(2)) == {"m-2": None}

    assert len({request.client_port for request in server.requests}) == 2


def test_a_refused_connection_is_pending() -> None:
    """Segment retries until Hyperline can be reached."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    results = deliver_to(f"http://127.0.0.1:{port}", event(1))

    assert results == {"m-1": UNREACHABLE}


def test_a_connection_that_is_not_accepted_is_pending(clock: Clock) -> None:
    """Connecting doesn't take longer than the time that is left."""
    clock.patience = 0
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        # Linux queues one connection, and doesn't respond to others.
        with socket.create_connection(address):
            results = deliver_to(
                f"http://127.0.0.1:{address[1]}", event(1), seconds=0.2
            )

    assert results == {"m-1": LATE}


@pytest.mark.parametrize(
    "response",
    [
        FakeResponse(202, b"", delay=6),
        FakeResponse(202, ending=Ending.DRIPPED),
    ],
)
def test_a_slow_response_is_pending(
    server: FakeHyperline, response: FakeResponse
) -> None:
    """A server that sends a byte at a time can't exceed the deadline either.

    Hyperline may or may not have stored the event, so Segment retries it.
    """
    server.respond(response)

    assert deliver(server, event(1)) == {"m-1": LATE}
    assert len(server.requests) == 1


def test_nothing_is_posted_after_the_deadline(server: FakeHyperline) -> None:
    """The response could not be used."""
    assert deliver(server, event(1), seconds=0) == {"m-1": NO_TIME}

    assert server.requests == []


@pytest.mark.filterwarnings("ignore:URLs without a scheme:FutureWarning")
@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "http://",
        "http://[",
        "http://127.0.0.1:99999",
        "ftp://h",
        f"http://{'a' * 64}.example",
    ],
)
def test_an_invalid_url_is_pending(url: str) -> None:
    """The owner can fix HYPERLINE_URL, and no event is lost until then."""
    (result,) = deliver_to(url, event(1)).values()

    assert str(result).startswith("UNAVAILABLE: Hyperline can't be reached: ")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    server: FakeHyperline, other: FakeHyperline, status: int
) -> None:
    """Neither the events nor the API key are sent to another host."""
    location = {"Location": f"{other.url}/v1/events"}
    server.respond(FakeResponse(status, headers=location))

    assert deliver(server, event(1)) == {"m-1": f"{REDIRECTED} ({status})"}

    assert len(server.requests) == 1
    assert server.store == {}
    assert other.requests == []


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/v1/events",
        "//",
        "http://",
        "mailto:hyperline@example.com",
        "http://\xff.example/",
        "\xe9",
        "http://[",
    ],
)
def test_a_redirect_to_any_location_is_pending(
    server: FakeHyperline, location: str
) -> None:
    """The header can have any bytes, and doesn't raise an exception."""
    server.respond(FakeResponse(302, headers={"Location": location}))

    (result,) = deliver(server, event(1)).values()

    assert str(result).startswith("UNAVAILABLE: Hyperline ")
    assert len(server.requests) == 1


def test_a_location_does_not_change_a_success(server: FakeHyperline) -> None:
    """A server may send this header with 201."""
    server.respond(FakeResponse(201, b"", headers={"Location": "http://[\xff"}))

    assert deliver(server, event(1)) == {"m-1": None}


def test_a_proxy_in_the_environment_is_not_used(
    server: FakeHyperline, other: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy could read the events and the API key."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, other.url)

    assert deliver(server, event(1)) == {"m-1": None}

    assert len(server.requests) == 1
    assert other.requests == []


def test_a_netrc_does_not_replace_the_api_key(
    server: FakeHyperline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By default, requests would prefer a password for the host."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n", "utf-8")
    monkeypatch.setenv("NETRC", str(netrc))

    assert deliver(server, event(1)) == {"m-1": None}

    assert [r.authorization for r in server.requests] == [f"Bearer {KEY}"]


class Recorder(ThreadingHTTPServer):
    """A server that accepts everything, sets a cookie, and records the headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.headers: list[dict[str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Recorder
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.headers.append(dict(self.headers))
        self.send_response(202)
        self.send_header("Set-Cookie", "session=1; Path=/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write no log."""


@contextmanager
def record(certificate: trustme.LeafCert | None = None) -> Iterator[Recorder]:
    """Run a `Recorder`, with TLS if there is a *certificate*."""
    with Recorder() as recorder:
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            certificate.configure_cert(context)
            recorder.socket = context.wrap_socket(recorder.socket, server_side=True)
        threading.Thread(
            target=recorder.serve_forever, args=(0.01,), daemon=True
        ).start()
        yield recorder
        recorder.shutdown()


def test_a_cookie_is_not_stored() -> None:
    """Hyperline needs none, and requests must not depend on earlier ones."""
    with record() as recorder:
        url = f"http://127.0.0.1:{recorder.server_port}"
        for number in range(2):
            assert deliver_to(url, event(number)) == {f"m-{number}": None}

    assert ["Cookie" in headers for headers in recorder.headers] == [False, False]


def test_the_headers_describe_the_body() -> None:
    """Hyperline requires JSON."""
    with record() as recorder:
        deliver_to(f"http://127.0.0.1:{recorder.server_port}", event(1))

    (headers,) = recorder.headers
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Length"] == str(len(event(1).json))


@pytest.fixture
def ca(tmp_path: Path) -> Iterator[trustme.CA]:
    """The only certificate authority that the client trusts."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "ca.pem"))
        importlib.reload(session)
        importlib.reload(client)
        yield ca
    importlib.reload(session)
    importlib.reload(client)


def test_a_verified_server_gets_the_events(ca: trustme.CA) -> None:
    """Its certificate is from a trusted authority and names the host."""
    with record(ca.issue_cert("localhost")) as recorder:
        results = deliver_to(f"https://localhost:{recorder.server_port}", event(1))

    assert results == {"m-1": None}
    assert len(recorder.headers) == 1


def test_a_server_with_the_name_of_another_host_gets_nothing(ca: trustme.CA) -> None:
    """Otherwise anybody with a certificate could receive the API key."""
    with record(ca.issue_cert("example.com")) as recorder:
        results = deliver_to(f"https://localhost:{recorder.server_port}", event(1))

    assert results == {"m-1": "UNAVAILABLE: Hyperline can't be reached: SSLError"}
    assert recorder.headers == []


@pytest.mark.parametrize("variable", ["", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_an_unverified_server_gets_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    """No variable of the environment can add an authority."""
    unknown = trustme.CA()
    unknown.cert_pem.write_to_path(tmp_path / "unknown.pem")
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "unknown.pem"))

    with record(unknown.issue_cert("localhost")) as recorder:
        results = deliver_to(f"https://localhost:{recorder.server_port}", event(1))

    assert results == {"m-1": "UNAVAILABLE: Hyperline can't be reached: SSLError"}
    assert recorder.headers == []


def test_an_open_breaker_ends_a_delivery_without_a_post(server: FakeHyperline) -> None:
    """After two posts without a response, Hyperline is not posted to for a while."""
    server.respond(*[FakeResponse(ending=Ending.RESET)] * 4)
    failures = [deliver(server, event(number))[f"m-{number}"] for number in (1, 2)]
    requests = len(server.requests)

    assert deliver(server, event(3)) == {"m-3": failures[1]}

    assert len(server.requests) == requests
    find_host.cache_clear()  # as after the pause
    assert deliver(server, event(3)) == {"m-3": None}


def test_posts_have_an_interval(server: FakeHyperline, clock: Clock) -> None:
    """The Replayer leaves Hyperline's rate limit to new events."""
    events = [event(number, text="x" * 1_500_000) for number in range(6)]

    delivery = client.post_events(
        Outgoing(events), server.url, KEY, Deadline(30), Strategy(interval=0.2)
    )

    assert set(delivery.failures.values()) == {None}
    assert len(delivery.posts.seconds) == 3
    assert clock.pauses == [0.2, 0.2]


def test_a_late_request_is_given_up(clock: Clock) -> None:
    """Otherwise its thread and connection would stay as long as the server's."""
    clock.patience = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert deliver_to(url, event(1), seconds=0.2) == {"m-1": LATE}
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(60)
            while connection.recv(65_536):
                pass  # the request; after it, the client closes the connection


ACCEPTED = FakeResponse(202, b"")
REPLAYER = Strategy(isolates=True)


def test_a_maintenance_page_confirms_nothing(server: FakeHyperline) -> None:
    """It can have the status 200, which must not count as delivered."""
    server.outage = FakeResponse(200, b"<html>We'll be back soon</html>")
    foreign = (
        "UNAVAILABLE: the response is not Hyperline's, but for example a proxy's (200)"
    )

    assert deliver(server, event(1)) == {"m-1": foreign}
    assert set(deliver(server, event(1), event(2)).values()) == {foreign}
    replayed = client.post_events(
        Outgoing([event(1), event(2)]), server.url, KEY, Deadline(5), REPLAYER
    )
    assert None not in replayed.failures.values()
    assert not replayed.posts.has_accepted


def test_a_batch_is_accepted_by_a_complete_empty_response(
    server: FakeHyperline,
) -> None:
    """Hyperline responds to single events like that; nothing is posted again."""
    server.respond(ACCEPTED)

    assert set(deliver(server, *map(event, range(1_000))).values()) == {None}

    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [404, 409, 410])
def test_an_unknown_customer_is_quarantined_once_others_are_accepted(
    server: FakeHyperline, status: int
) -> None:
    """Without another accepted post, the same status can mean a wrong route."""
    server.respond(status, ACCEPTED, status)

    first = deliver(server, event(1))["m-1"]
    assert str(first).startswith("UNAVAILABLE: Hyperline rejected the event, but has")
    assert deliver(server, event(2)) == {"m-2": None}
    assert deliver(server, event(1)) == {
        "m-1": f"REJECTED: Hyperline rejected the event ({status})"
    }


def test_an_accepted_post_counts_for_ten_minutes(
    server: FakeHyperline, clock: Clock
) -> None:
    """Wall-clock time counts, because the execution environment can be frozen."""
    deliver(server, event(1))

    outcomes = []
    for seconds in (599, 1, -601):
        clock.freeze(seconds)
        server.respond(404)
        outcomes.append(str(deliver(server, event(2))["m-2"]).partition(":")[0])

    assert outcomes == ["REJECTED", "UNAVAILABLE", "UNAVAILABLE"]


def test_the_breaker_closes_while_the_environment_is_frozen(
    server: FakeHyperline, clock: Clock
) -> None:
    """`time.monotonic` can stand still meanwhile, and the outage be long over."""
    server.respond(*[FakeResponse(ending=Ending.RESET)] * 4)
    for number in (1, 2):
        deliver(server, event(number))
    assert deliver(server, event(3)) != {"m-3": None}

    clock.freeze(3_600)

    assert deliver(server, event(3)) == {"m-3": None}


def test_a_silent_event_takes_only_the_time_of_its_posts(
    server: FakeHyperline,
) -> None:
    """The other events of the invocation are delivered, and the breaker stays closed.

    Posts of the search don't count for the breaker while Hyperline accepts others.
    """
    server.unprocessable = {"silent": FakeResponse(ending=Ending.DRIPPED)}
    events = [event(n, "silent" if n == 3 else "c") for n in range(16)]

    delivery = client.post_events(
        Outgoing(events),
        server.url,
        KEY,
        Deadline(60),
        strategy=Strategy(isolates=True, post_seconds=2),
    )

    failed = {key.record_id: f for key, f in delivery.failures.items() if f}
    assert {i: (f.reason, f.is_alone) for i, f in failed.items()} == {
        "m-3": ("Hyperline did not respond in time", True)
    }
    assert delivery.posts.has_accepted
    assert len(server.store) == 15


def test_retry_after_of_one_event_does_not_stop_the_search(
    server: FakeHyperline,
) -> None:
    """Hyperline's Retry-After is respected unless it is due to the posted events."""
    retry = FakeResponse(503, headers={"Retry-After": "60"})
    server.unprocessable = {"bad": retry}
    events = [event(n, "bad" if n == 3 else "c") for n in range(16)]

    strategy = Strategy(isolates=True, begins_alone=True)
    random.seed(1)  # it begins with another event
    delivery = client.post_events(
        Outgoing(events), server.url, KEY, Deadline(60), strategy=strategy
    )

    assert delivery.posts.has_accepted
    assert len(server.store) == 15
