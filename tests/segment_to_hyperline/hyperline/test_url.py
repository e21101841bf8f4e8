"""The host: that of the API key, or the one in HYPERLINE_URL."""

import pytest

from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.hyperline.url import Endpoint, UrlError, choose_core_url
from segment_to_hyperline.secret import SecretError
from segment_to_hyperline.secret_cache import read_secret
from tests.conftest import Queue, Secret, Send
from tests.samples import track

PRODUCTION, SANDBOX = (
    "https://ingest.hyperline.co",
    "https://sandbox.ingest.hyperline.co",
)
VALID = [
    *(PRODUCTION, f"{PRODUCTION}/", "https://example.com", "https://a-b.example:8443"),
    *("https://localhost", "http://localhost:1", "http://127.0.0.1:8080/"),
    *("http://0.0.0.0:1", "http://172.17.0.1:65535", "http://host.docker.internal"),
    *("https://H", "https://H1.Example.Com:65535/", f"https://{'a' * 63}.1{'b' * 62}"),
]
INVALID = [
    *(f"{PRODUCTION}/v1", f"{PRODUCTION}/v1/events", f"{PRODUCTION}//", "https://x/ /"),
    *(f"{PRODUCTION}?", f"{PRODUCTION}?a=1", f"{PRODUCTION}/?a=1", f"{PRODUCTION}#"),
    *(f"{PRODUCTION}/#a", "https://user:word@example.com", "https://user@example.com"),
    *("https://@example.com", "https://", "https:///", "https://:443", "https:example"),
    *(f" {PRODUCTION}", f"{PRODUCTION} ", f"{PRODUCTION}\n", f"{PRODUCTION}/\t", "x y"),
    *("https://exa mple.com", "https://example.com:", "https://example.com:port"),
    *("https://example.com:0", "https://example.com:-1", "https://example.com:123456"),
    *("https://.example.com", "https://example..com", "https://example.com."),
    *("https://-example.com", "https://exa_mple.com", f"https://{'a' * 64}.com"),
    *("https://[::1]", "https://[", "https://exämple.com", "https://example.com\\v1"),
    *("http://ingest.hyperline.co", "http://127.0.0.1.example.com", "ftp://localhost"),
    *("http://127x0.0.1", "http://127.0x0.1", "http://127.0.0x1", "http://0x0.0.0"),
    *("http://0.0x0.0", "http://0.0.0x0", "http://172x17.0.1", "http://172.17x0.1"),
    *(
        "http://172.17.0x1",
        "http://hostxdocker.internal",
        "http://host.dockerxinternal",
    ),
    *("http://localhost:0", "http://localhost:123456", f"https://x.{'a' * 64}"),
    *("http://localhost@example.com", "http://localhost/v1", "http://localhost:x"),
    *("ingest.hyperline.co", "localhost:1", "//", "x", "test_1234567890", "HTTPS://x"),
]


def endpoint() -> Endpoint:
    """Return the endpoint in the secret."""
    return read_secret(Deadline(5)).endpoint


@pytest.mark.parametrize(
    ("key", "url", "is_sandbox"),
    [("prod_1", PRODUCTION, False), ("test_1", SANDBOX, True)],
)
def test_events_are_posted_to_the_host_of_the_key(
    secret: Secret,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    url: str,
    *,
    is_sandbox: bool,
) -> None:
    """A sandbox key is never sent to production, and the other way round."""
    monkeypatch.setenv("HYPERLINE_URL", "")
    secret.put(hyperline_api_key=key)

    assert endpoint() == (url, key)
    assert endpoint().is_sandbox == is_sandbox


def test_hyperline_url_replaces_the_host_of_the_key(
    secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With HYPERLINE_URL, the key can have any prefix."""
    monkeypatch.setenv("HYPERLINE_URL", "http://127.0.0.1:1/")
    secret.put(hyperline_api_key="another prefix")

    assert endpoint() == ("http://127.0.0.1:1", "another prefix")
    assert not endpoint().is_sandbox


def test_a_key_with_an_unknown_prefix_is_rejected(
    secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a guessed host, the key and the events could go to the wrong place."""
    monkeypatch.setenv("HYPERLINE_URL", "")
    secret.put(hyperline_api_key="live_1")

    with pytest.raises(SecretError, match="neither prod_ nor test_"):
        endpoint()


@pytest.mark.parametrize("url", VALID)
def test_hyperline_url_is_a_host(
    secret: Secret, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """The paths are appended to it. To this machine, http:// is possible."""
    secret.put(hyperline_api_key="prod_1")
    monkeypatch.setenv("HYPERLINE_URL", url)

    assert endpoint().url == url.removesuffix("/")


@pytest.mark.parametrize("url", [*INVALID, "https://example.com:65536"])
def test_hyperline_url_is_nothing_but_a_host(
    secret: Secret, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """With a path, every post would get 404; without TLS, the API key could be read.

    The reason says what to write. It doesn't quote the URL, which can have a password.
    """
    secret.put(hyperline_api_key="test_1")
    monkeypatch.setenv("HYPERLINE_URL", url)

    with pytest.raises(SecretError) as error:
        endpoint()

    assert str(error.value) == (
        "HYPERLINE_URL must be https:// and a host, without a path, query, fragment,"
        " credentials or spaces (http:// is only possible on this machine): write"
        f" {SANDBOX}, or leave the parameter HyperlineUrl empty"
    )


@pytest.mark.parametrize(
    ("key", "url", "problem"),
    [
        ("prod_1", "https://api.hyperline.co", f"core API.*write {PRODUCTION},"),
        ("test_1", "https://sandbox.api.hyperline.co/", f"core API.*write {SANDBOX},"),
        ("other", "https://API.hyperline.co:443", f"core API.*write {PRODUCTION},"),
        ("prod_1", SANDBOX, f"another environment.*write {PRODUCTION},"),
        ("test_1", f"{PRODUCTION}/", f"another environment.*write {SANDBOX},"),
    ],
)
def test_a_host_that_would_reject_every_event_is_reported(
    secret: Secret, monkeypatch: pytest.MonkeyPatch, key: str, url: str, problem: str
) -> None:
    """The core API has no events, and a key works in one environment only."""
    secret.put(hyperline_api_key=key)
    monkeypatch.setenv("HYPERLINE_URL", url)

    with pytest.raises(SecretError, match=problem):
        endpoint()


@pytest.mark.parametrize("url", [PRODUCTION, SANDBOX])
def test_a_key_with_an_unknown_prefix_can_be_for_both_environments(
    secret: Secret, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """OAuth access tokens have no prefix."""
    secret.put(hyperline_api_key="token")
    monkeypatch.setenv("HYPERLINE_URL", url)

    assert endpoint() == (url, "token")


def test_a_path_in_hyperline_url_quarantines_nothing(
    send: Send,
    hyperline: FakeHyperline,
    quarantine: Queue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Segment retries until it is corrected; Hyperline gets no request."""
    monkeypatch.setenv("HYPERLINE_URL", f"{hyperline.url}/v1")

    response = send(track())

    assert response.status == 503
    assert response.reasons[0].startswith("HYPERLINE_URL must be https:// and a host")
    assert hyperline.requests == []
    assert quarantine.messages() == []


CORE, SANDBOX_CORE = "https://api.hyperline.co", "https://sandbox.api.hyperline.co"


@pytest.mark.parametrize(
    ("endpoint", "url", "core"),
    [
        (Endpoint("https://ingest.hyperline.co", "prod_1"), None, CORE),
        (Endpoint("https://sandbox.ingest.hyperline.co", "test_1"), None, SANDBOX_CORE),
        # Nobody chose to send the key to Hyperline.
        (Endpoint("https://proxy.example", "prod_1"), None, None),
        (Endpoint("https://proxy.example", "prod_1"), "https://core.example/", None),
        (Endpoint("https://ingest.hyperline.co", "prod_1"), CORE, CORE),
        (Endpoint("https://proxy.example", "other"), CORE, None),
    ],
)
def test_customers_are_read_from_the_core_api_of_the_key(
    endpoint: Endpoint, url: str | None, core: str | None
) -> None:
    """HYPERLINE_CORE_URL replaces it; without either, there is none."""
    expected = url.removesuffix("/") if url and core is None else core
    if endpoint.api_key == "other":
        with pytest.raises(UrlError, match="isn't the core API of the API key's"):
            choose_core_url(endpoint, url)
    else:
        assert choose_core_url(endpoint, url) == expected


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://core.example/path", "must be https:// and a host"),
        ("http://core.example", "must be https:// and a host"),
        ("https://ingest.hyperline.co", "isn't the core API"),
        (SANDBOX_CORE, "isn't the core API of the API key's environment"),
    ],
)
def test_hyperline_core_url_is_a_core_api(url: str, problem: str) -> None:
    """Neither the ingestion API, nor that of the other environment."""
    endpoint = Endpoint("https://ingest.hyperline.co", "prod_1")

    with pytest.raises(UrlError, match=problem) as raised:
        choose_core_url(endpoint, url)

    assert CORE in str(raised.value)
