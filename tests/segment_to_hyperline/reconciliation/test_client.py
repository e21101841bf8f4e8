"""Requests survive outages of several minutes, and say what can't get better."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from local_stack.fake_api import KEY, Ending, FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.reconciliation.api.client import Client, Endpoint, Patience
from segment_to_hyperline.reconciliation.api.failures import (
    NOT_DOCUMENTED,
    AccessError,
    Forbidden,
    HyperlineUnavailable,
    Rejected,
)
from segment_to_hyperline.reconciliation.api.in_flight import work_in_flight
from segment_to_hyperline.reconciliation.api.pace import Pace
from tests.segment_to_hyperline.reconciliation.helpers import (
    START,
    Clock,
    Outage,
    create_client,
)
from tests.segment_to_hyperline.reconciliation.network import Listener, Proxy, TlsServer

READ = Endpoint("GET", "/v1/events", "read billable events")
QUERY = {"event_type": "x", "take": "0"}
HTML = FakeResponse(
    200, b"<html>Maintenance</html>", headers={"Content-Type": "text/html"}
)
NEVER = threading.Event()
STORMS: dict[str, tuple[FakeResponse | int, str]] = {
    "rate limit": (429, "Hyperline's rate limit is reached (429)"),
    "rate limit with a wait": (
        FakeResponse(429, headers={"Retry-After": "11"}),
        "Hyperline's rate limit is reached (429)",
    ),
    "server error": (503, "server error (503)"),
    "gateway": (
        FakeResponse(502, b"<html>", headers={"Content-Type": "text/html"}),
        "server error (502)",
    ),
    "closed": (FakeResponse(ending=Ending.CLOSED), "the connection was lost"),
    "reset": (FakeResponse(ending=Ending.RESET), "the connection was lost"),
    "unread": (FakeResponse(ending=Ending.RESET_UNREAD), "the connection was lost"),
    "truncated": (
        FakeResponse(200, b'{"me', ending=Ending.TRUNCATED),
        "the connection was lost",
    ),
    "timeout": (FakeResponse(gate=NEVER), "no response in time"),
    "web page": (HTML, "the response is a web page (200)"),
    "half JSON": (FakeResponse(200, b'{"me'), "the response isn't as documented"),
    "other JSON": (FakeResponse(200, b"[]"), "the response isn't as documented"),
    "not found": (404, "the path doesn't exist (404)"),
    "redirect": (
        FakeResponse(302, headers={"Location": "/"}),
        "the response has the status 302",
    ),
}


def read(client: Client) -> Any:
    """Send a request, and return its content."""
    return client.get(READ, QUERY, parse)


def parse(content: Any) -> Any:
    """Return the content of a page."""
    is_page = isinstance(content, dict) and "meta" in content
    return content if is_page else NOT_DOCUMENTED


def to_response(response: FakeResponse | int) -> FakeResponse:
    """Return the response to requests during an outage."""
    return FakeResponse(response) if isinstance(response, int) else response


@pytest.fixture(params=STORMS)
def storm(request: pytest.FixtureRequest) -> tuple[FakeResponse, str]:
    """The response to each request in an outage, and the reason that is reported."""
    response, reason = STORMS[request.param]
    return to_response(response), reason


def test_requests_survive_an_outage_of_minutes(
    ingestion: FakeHyperline, clock: Clock, storm: tuple[FakeResponse, str]
) -> None:
    """The reason and the seconds are reported before each wait."""
    outage = Outage(ingestion, clock, 240)
    client = create_client(
        ingestion, report_wait=outage.report, patience=Patience(response=0.05)
    )
    read(client)
    response, reason = storm
    outage.begin(response)

    assert read(client)["meta"]["total"] == 0

    assert set(outage.reasons) == {reason}
    assert 240 <= sum(outage.waits) < 300
    assert len(outage.waits) < 30


def test_an_outage_has_an_end(
    ingestion: FakeHyperline, clock: Clock, storm: tuple[FakeResponse, str]
) -> None:
    """After five minutes without a success, the command ends with the reason."""
    outage = Outage(ingestion, clock, 3_600)
    client = create_client(
        ingestion, report_wait=outage.report, patience=Patience(response=0.05)
    )
    read(client)
    response, reason = storm
    outage.begin(response)

    with pytest.raises(HyperlineUnavailable) as raised:
        read(client)

    assert f"{ingestion.url}/v1/events: {reason}" in str(raised.value)
    assert str(raised.value).endswith("; run the command again later")
    assert 300 < sum(outage.waits) < 400


def test_a_success_resets_the_patience(ingestion: FakeHyperline, clock: Clock) -> None:
    """Outages of four minutes each can follow each other."""
    outage = Outage(ingestion, clock, 240)
    client = create_client(ingestion, report_wait=outage.report)

    for _ in range(5):
        outage.begin(FakeResponse(500))
        read(client)

    assert sum(outage.waits) > 5 * 240


def test_retries_begin_after_a_second_and_are_half_a_minute_apart_at_most(
    ingestion: FakeHyperline, clock: Clock
) -> None:
    """A wait is as long as the outage so far."""
    outage = Outage(ingestion, clock, 100)
    outage.begin(FakeResponse(500))

    read(create_client(ingestion, report_wait=outage.report))

    assert outage.waits == pytest.approx([1, 1, 2, 4, 8, 16, 30, 30, 30], rel=0.01)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "100000"}, 60),
        ({"Retry-After": "soon"}, 1),
        ({"X-RateLimit-Reset": "2026-01-01T00:00:09Z"}, 9),
        ({"X-RateLimit-Reset": "2025-01-01T00:00:00Z"}, 1),
        ({"Retry-After": "-5", "X-RateLimit-Reset": "tomorrow"}, 1),
    ],
)
def test_a_wait_is_as_long_as_hyperline_asks_for(
    ingestion: FakeHyperline, clock: Clock, headers: dict[str, str], seconds: float
) -> None:
    """But a minute at most, and never none."""
    clock.now = START / 1_000
    outage = Outage(ingestion, clock, 0)
    outage.begin(FakeResponse(429, headers=headers))

    read(create_client(ingestion, report_wait=outage.report))

    assert outage.waits == [pytest.approx(seconds, rel=0.01)]


def test_several_threads_survive_the_same_outage(
    ingestion: FakeHyperline, clock: Clock
) -> None:
    """Each gets its response, and they don't multiply the requests."""
    outage = Outage(ingestion, clock, 200)
    client = create_client(
        ingestion, report_wait=outage.report, patience=Patience(3_600)
    )
    outage.begin(FakeResponse(429))

    results = list(work_in_flight(lambda _: read(client), range(100)))

    assert [item for item, _ in results] == list(range(100))
    assert len(ingestion.reads) == client.requests < 100 + 16 * 20


def test_an_error_of_a_thread_ends_the_work(ingestion: FakeHyperline) -> None:
    """What has not begun is not begun any more."""
    client = create_client(ingestion)
    ingestion.outage = FakeResponse(401)

    with pytest.raises(AccessError):
        list(work_in_flight(lambda _: read(client), range(1_000)))

    assert client.requests < 50


FINAL = {
    400: "Hyperline rejected the query (400): please report a bug",
    401: "Hyperline rejected the API key (401): use a valid key",
    403: "the API key has no permission (403) to read billable events: add the scope",
}
FINAL_AT_FIRST = {
    404: "the path doesn't exist (404): check that the host is Hyperline's",
    302: "the response has the status 302: check that the host is Hyperline's",
    418: "the response has the status 418: check that the host is Hyperline's",
}


@pytest.mark.parametrize(
    ("status", "message"), [*FINAL.items(), *FINAL_AT_FIRST.items()]
)
def test_what_cannot_get_better_is_reported_at_once(
    ingestion: FakeHyperline, status: int, message: str
) -> None:
    """With the URL, and what to do."""
    ingestion.respond(status)

    with pytest.raises(AccessError) as raised:
        read(create_client(ingestion, report_wait=fail))

    assert str(raised.value).startswith(f"{ingestion.url}/v1/events: {message}")
    assert isinstance(raised.value, Forbidden) == (status == 403)


@pytest.mark.parametrize("status", FINAL)
def test_a_key_can_become_invalid(ingestion: FakeHyperline, status: int) -> None:
    """So these statuses aren't retried after a success either."""
    client = create_client(ingestion, report_wait=fail)
    read(client)
    ingestion.respond(status)

    with pytest.raises(AccessError):
        read(client)


@pytest.mark.parametrize("body", [b"<html>", b" <!DOCTYPE html>", b"\n<?xml?>"])
@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/json"])
def test_a_web_page_is_reported_at_once(
    ingestion: FakeHyperline, body: bytes, kind: str
) -> None:
    """A login page of a network has the status 200."""
    ingestion.respond(FakeResponse(200, body, headers={"Content-Type": kind}))

    with pytest.raises(AccessError, match=r"web page \(200\): check that the host"):
        read(create_client(ingestion, report_wait=fail))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
def test_a_web_page_says_nothing_about_the_key(
    ingestion: FakeHyperline, status: int
) -> None:
    """It is that of a firewall, or of another host."""
    ingestion.respond(FakeResponse(status, b"<html>Blocked</html>"))

    with pytest.raises(
        AccessError, match=rf"web page \({status}\): check that the host"
    ):
        read(create_client(ingestion, report_wait=fail))


def test_another_api_is_reported_after_a_few_seconds(
    ingestion: FakeHyperline, clock: Clock
) -> None:
    """A gateway can cut a response, but not three times at first."""
    began = clock.now
    ingestion.outage = FakeResponse(200, b'{"hello": "world"}')

    with pytest.raises(AccessError, match="isn't as documented: check that the host"):
        read(create_client(ingestion))

    assert clock.now - began < 5
    assert len(ingestion.reads) == 3


def test_each_path_is_new(ingestion: FakeHyperline) -> None:
    """One that never worked doesn't exist, whatever else worked."""
    client = create_client(ingestion, report_wait=fail)
    read(client)

    with pytest.raises(AccessError, match="/v1/unknown: the path doesn't exist"):
        client.get(Endpoint("GET", "/v1/unknown", "read it"), {}, parse)


def test_a_missing_permission_is_named(ingestion: FakeHyperline) -> None:
    """It is that of the request, and another one may be there."""
    client = create_client(ingestion, report_wait=fail)
    read(client)
    ingestion.respond(403)

    with pytest.raises(Forbidden, match=r"no permission \(403\) to delete events"):
        client.send(Endpoint("DELETE", "/v1/events", "delete events"), {})


def test_an_unreachable_host_is_reported_at_once() -> None:
    """A refused connection and an unknown name are told apart."""
    with FakeHyperline() as closed:
        pass
    refused = Client(closed.url, KEY, Pace(), report_wait=fail)
    unknown = Client("https://nothing.invalid", KEY, Pace(), report_wait=fail)

    with pytest.raises(AccessError, match="the connection is refused: check the host"):
        read(refused)
    with pytest.raises(AccessError, match="the host name is unknown: check the host"):
        read(unknown)


def test_a_host_without_a_response_to_connections_is_reported_at_once() -> None:
    """A firewall that drops packets looks like this; so does a full backlog."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as server,
        ExitStack() as full,
    ):
        address = server.getsockname()
        for _ in range(3):
            waiting = full.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(address)
        url = f"http://127.0.0.1:{address[1]}"
        client = Client(
            url, KEY, Pace(), report_wait=fail, patience=Patience(connection=0.1)
        )

        with pytest.raises(AccessError, match="the host can't be reached: check the"):
            read(client)


@pytest.mark.usefixtures("clock")
def test_a_lost_host_is_waited_for() -> None:
    """If it was reachable before, it is an outage."""
    waits: list[str] = []
    with FakeHyperline() as api:
        client = create_client(api, report_wait=lambda reason, _: waits.append(reason))
        read(client)
    client._session.close()  # noqa: SLF001 - the fake keeps open connections alive

    with pytest.raises(HyperlineUnavailable, match="the connection is refused"):
        read(client)

    assert set(waits) == {"the connection is refused"}


def test_an_impossible_host_is_reported_at_once() -> None:
    """Its name has an empty label."""
    client = Client("https://ingest..hyperline.co", KEY, Pace(), report_wait=fail)

    with pytest.raises(AccessError, match="the host name is unknown: check the host"):
        read(client)


def test_a_redirect_does_not_carry_the_key_elsewhere(ingestion: FakeHyperline) -> None:
    """Not even to another path."""
    with FakeHyperline() as other:
        for url in (other.url, ""):
            headers = {"Location": f"{url}/v1/events?event_type=x"}
            ingestion.respond(FakeResponse(307, headers=headers))
            with pytest.raises(AccessError, match="status 307"):
                read(create_client(ingestion))

        assert other.reads == []
    assert len(ingestion.reads) == 2


def test_netrc_does_not_replace_the_key(
    ingestion: FakeHyperline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would send what the file has for the host."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password secret\n", "utf-8")
    monkeypatch.setenv("NETRC", str(netrc))

    assert read(create_client(ingestion))["meta"]["total"] == 0


@pytest.mark.parametrize("key", ["", "test_x\n", "test_\u20ac", " test_x", "te\x00st"])
def test_a_key_that_cannot_be_sent_is_an_error(key: str) -> None:
    """The exception of a library would have it in its message."""
    with pytest.raises(AccessError) as raised:
        Client("https://ingest.hyperline.co", key, Pace())

    assert (
        str(raised.value) == "the API key can't be one: copy it again, without spaces"
    )


@pytest.mark.usefixtures("clock")
def test_no_message_has_the_key(
    ingestion: FakeHyperline, storm: tuple[FakeResponse, str]
) -> None:
    """Nor the body of a response, which can have a customer's data."""
    response, _ = storm
    ingestion.outage = replace(response, body=response.body + KEY.encode())
    messages: list[str] = []
    client = create_client(
        ingestion,
        report_wait=lambda reason, _: messages.append(reason),
        patience=Patience(response=0.05),
    )

    with pytest.raises((AccessError, HyperlineUnavailable)) as raised:
        read(client)

    assert KEY not in "".join([*messages, str(raised.value)])


def fail(reason: str, _seconds: float) -> None:
    """Fail: nothing should be retried."""
    raise AssertionError(reason)


# Proxies and certificates


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A company's certificate authority."""
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """The file with its certificate."""
    path = tmp_path / "company.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def server(ingestion: FakeHyperline, authority: trustme.CA) -> Iterator[TlsServer]:
    """The ingestion API behind TLS."""
    with TlsServer(ingestion, authority.issue_cert("localhost")) as server:
        yield server


def connect(server: TlsServer) -> Client:
    """Return a client of *server* that doesn't wait for a retry."""
    return Client(server.url, KEY, Pace(), report_wait=fail)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_of_a_company_are_accepted(
    server: TlsServer, bundle: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Its proxy decrypts all connections, and encrypts them with its own ones."""
    monkeypatch.setenv(variable, bundle)

    assert read(connect(server))["meta"]["total"] == 0


def test_another_certificate_is_rejected(server: TlsServer) -> None:
    """The message says which variable to set."""
    with pytest.raises(
        AccessError,
        match=r"certificate isn't valid \(unable to get local"
        r" issuer certificate\): if your network .*, set REQUESTS_CA_BUNDLE",
    ):
        read(connect(server))


@pytest.mark.parametrize(
    ("names", "until", "message"),
    [
        (["other.example"], None, r"(?i)hostname mismatch.*: check the host"),
        (["localhost"], datetime(2020, 1, 1, tzinfo=UTC), "expired.*: check the clock"),
    ],
)
def test_why_a_certificate_is_invalid_is_reported(
    ingestion: FakeHyperline,
    authority: trustme.CA,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    names: list[str],
    until: datetime | None,
    message: str,
) -> None:
    """It can be for another host, or have expired."""
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    certificate = authority.issue_cert(
        *names, not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=until
    )

    with (
        TlsServer(ingestion, certificate) as server,
        pytest.raises(AccessError, match=message),
    ):
        read(connect(server))


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_an_unusable_file_of_certificates_is_reported(
    server: TlsServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    content: str | None,
) -> None:
    """With the variables that can have it."""
    path = tmp_path / "certificates.pem"
    if content is not None:
        path.write_text(content, "utf-8")
    monkeypatch.setenv(variable, str(path))

    with pytest.raises(
        AccessError, match=r"check .*REQUESTS_CA_BUNDLE and SSL_CERT_FILE"
    ):
        read(connect(server))


def test_a_server_without_encryption_is_reported(ingestion: FakeHyperline) -> None:
    """For example a wrong port."""
    url = ingestion.url.replace("http://", "https://")

    with pytest.raises(AccessError, match="no encrypted connection is possible: check"):
        read(Client(url, KEY, Pace(), report_wait=fail))


def test_a_connection_that_is_lost_meanwhile_is_retried(clock: Clock) -> None:
    """It is not mistaken for an invalid certificate."""
    began = clock.now
    with Listener(lambda _: None) as server:
        url = f"https://localhost:{server.port}"
        with pytest.raises(HyperlineUnavailable, match="the connection was lost"):
            read(Client(url, KEY, Pace()))

    assert clock.now - began > 300


def test_a_proxy_is_used(
    server: TlsServer, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It doesn't see the key, and it gets its own password."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    with Proxy() as proxy:
        url = proxy.url.replace("//", "//someone:password@")
        monkeypatch.setenv("HTTPS_PROXY", url)

        assert read(connect(server))["meta"]["total"] == 0

    (request,) = proxy.requests
    assert request.startswith(f"CONNECT localhost:{server.port} ")
    assert "Proxy-Authorization: Basic " in request
    assert KEY not in request


def test_a_host_can_be_reached_without_the_proxy(
    server: TlsServer, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_PROXY has the hosts."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "example.com,localhost")

    assert read(connect(server))["meta"]["total"] == 0


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("407 Proxy Authentication Required", "407.*: add your user name and password"),
        ("403 Forbidden", "403.*: check HTTPS_PROXY and NO_PROXY, or let the proxy"),
        ("502 Bad Gateway", "502.*: check HTTPS_PROXY and NO_PROXY, or let the proxy"),
    ],
)
def test_a_rejection_of_the_proxy_is_reported_at_once(
    server: TlsServer, monkeypatch: pytest.MonkeyPatch, status: str, message: str
) -> None:
    """The proxy decides which hosts can be reached."""
    with Proxy(status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//me:secret@"))
        with pytest.raises(AccessError, match=message) as raised:
            read(connect(server))

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1:1", "http://nothing.invalid:80", "http://"),
        *("foo://127.0.0.1", "socks5://127.0.0.1:1", "http://127.0.0.1:x"),
        "http://user:secret@:",
    ],
)
def test_an_unusable_proxy_is_reported_at_once(
    server: TlsServer, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """It is not mistaken for an unreachable host."""
    monkeypatch.setenv("HTTPS_PROXY", url)

    with pytest.raises(AccessError, match="the proxy can't be used: check HTTPS_PROXY"):
        read(connect(server))


@pytest.mark.parametrize(
    ("content", "is_accepted"),
    [
        (b"", True),
        (b"{}", True),
        (b'{"events_created": []}', True),
        (b'{"error": "maintenance"}', False),
        (b'{"errors": ["maintenance"]}', False),
        (b"[]", False),
        (b"nonsense", False),
    ],
)
def test_an_event_is_posted_only_if_hyperline_says_so(
    ingestion: FakeHyperline, content: bytes, *, is_accepted: bool
) -> None:
    """A page with the status 200 can be a proxy's."""
    client = create_client(ingestion)
    ingestion.respond(*[FakeResponse(200, content)] * 3)
    endpoint = Endpoint("POST", "/v1/events", "write billable events")

    if is_accepted:
        client.post(endpoint, b"{}")
    else:
        with pytest.raises(AccessError, match="isn't as documented"):
            client.post(endpoint, b"{}")


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_a_rejected_event_is_not_posted_again(
    ingestion: FakeHyperline, status: int
) -> None:
    """It would be rejected again."""
    client = create_client(ingestion)
    ingestion.respond(status)

    with pytest.raises(Rejected, match=rf"Hyperline rejected the event \({status}\)"):
        client.post(Endpoint("POST", "/v1/events", "write billable events"), b"{}")

    assert len(ingestion.requests) == 1
