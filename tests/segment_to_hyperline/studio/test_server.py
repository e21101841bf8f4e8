"""The server of the page: who may use it, and what it accepts."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from segment_to_hyperline.cli.main import cli
from segment_to_hyperline.studio.server import MAX_BYTES, Server
from segment_to_hyperline.studio.studio import Studio
from tests.segment_to_hyperline.studio.conftest import FIVE, MAPPING, to_lines


@pytest.fixture
def server(studio: Studio) -> Iterator[Server]:
    """The server of a page with five events."""
    with Server(studio) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def send(
    server: Server,
    path: str,
    body: Any = None,
    *,
    token: str | None = None,
    **headers: str,
) -> tuple[HTTPResponse, Any]:
    """Return the response, and its JSON; a request with a body is a POST."""
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    address = f"127.0.0.1:{server.server_port}"
    headers = {"Host": address, "Origin": f"http://{address}"} | headers
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    method = "GET" if body is None else "POST"
    target = f"/{server.token if token is None else token}/{path}"
    connection.request(method, target, content, headers)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    is_json = response.headers["Content-Type"] == "application/json"
    return response, json.loads(text) if is_json else text.decode()


def test_the_page_and_its_files_are_served(server: Server) -> None:
    """Each file has its type, and the headers that restrict it."""
    files = {"": "html", "studio.js": "javascript", "studio.css": "css"}
    for path, kind in files.items():
        response, _ = send(server, path)
        assert response.status == 200
        assert f"text/{kind}" in response.headers["Content-Type"]
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "no-referrer"


def test_only_this_machine_can_connect(server: Server) -> None:
    """The server listens on the loopback interface."""
    assert server.server_address[0] == "127.0.0.1"


def test_each_page_has_its_own_address(studio: Studio) -> None:
    """Nobody can guess it."""
    tokens = set()
    for _ in range(2):
        with Server(studio) as server:
            tokens.add(server.token)

    assert len(tokens) == 2
    assert min(map(len, tokens)) >= 43


@pytest.mark.parametrize("path", ["", "state", "events", "vendor/ace/ace.js"])
@pytest.mark.parametrize("token", ["", "x", "%C3%A9", "../x"])
def test_without_the_token_nothing_is_served(
    server: Server, path: str, token: str
) -> None:
    """Neither events nor the mapping, and not even the page."""
    response, content = send(server, path, token=token)

    assert response.status == 404
    assert content == {"problem": "open the printed address"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80", "Origin": "http://evil.example:80"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": ""},
    ],
)
def test_requests_of_other_sites_are_refused(
    server: Server, mapping: Path, headers: dict[str, str]
) -> None:
    """Even with the token, and also if a name leads to this machine."""
    body = {"text": "x", "version": "", "force": True}

    response, _ = send(server, "save", body, **headers)

    assert response.status == 403
    assert mapping.read_text("utf-8") == MAPPING


@pytest.mark.parametrize("path", ["state", "events", ""])
def test_another_site_can_not_read(server: Server, path: str) -> None:
    """Neither the events nor the mapping, even with the token."""
    response, _ = send(server, path, Origin="https://evil.example")

    assert response.status == 403


def test_the_body_of_a_refused_request_is_no_request(server: Server) -> None:
    """The connection is closed, so that a form of another site can't smuggle one."""
    address = f"127.0.0.1:{server.server_port}"
    inner = f"GET /{server.token}/state HTTP/1.1\r\nHost: {address}\r\n\r\n"
    outer = (
        f"POST /{server.token}/clear HTTP/1.1\r\nHost: {address}\r\n"
        f"Origin: http://evil.example\r\nContent-Length: {len(inner)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.server_port), 10) as connection:
        connection.settimeout(10)
        connection.sendall((outer + inner).encode())
        received = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65_536):
                received += part

    assert received.startswith(b"HTTP/1.1 403 ")
    assert received.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "path",
    [
        *(
            "none.js",
            "../studio.py",
            "%2e%2e/studio.py",
            "vendor",
            "..",
            "//etc/passwd",
        ),
        "vendor/../../server.py",
    ],
)
def test_no_other_file_is_served(server: Server, path: str) -> None:
    """Only those of the page."""
    response, _ = send(server, path)

    assert response.status == 404


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("none", {}, 404),
        ("explain", b"nonsense", 400),
        ("explain", {"text": MAPPING}, 400),
        ("explain", {"text": MAPPING, "index": -99}, 400),
        ("explain", {"text": MAPPING, "index": "x"}, 400),
        ("explain", ["text"], 400),
        ("explain", b"[" * 50_000, 400),
    ],
)
def test_an_invalid_request_has_a_reason(
    server: Server, path: str, body: Any, status: int
) -> None:
    """The next request works."""
    response, content = send(server, path, body)

    assert response.status == status
    assert content["problem"]
    assert send(server, "state")[0].status == 200


def test_too_many_bytes_are_refused_before_they_are_sent(server: Server) -> None:
    """The message says what to do."""
    size = {"Content-Length": str(MAX_BYTES + 1)}
    response, content = send(server, "events", b"", **size)

    assert response.status == 413
    assert "start the command with the name of the file" in content["problem"]


@pytest.mark.parametrize("length", ["-1", "x", ""])
def test_an_invalid_length_is_refused(server: Server, length: str) -> None:
    """Nothing is read, so it can't be more than the limit."""
    response, content = send(server, "events", b"", **{"Content-Length": length})

    assert response.status == 400
    assert content["problem"]


def test_an_event_that_is_nested_deeply_is_reported(server: Server) -> None:
    """A test of it can't be written; the page says so, and goes on."""
    send(server, "clear", {})
    event = to_lines(FIVE[:1]).replace('"o-1"', '{"a":' * 3_000 + "1" + "}" * 3_000)
    send(server, "events", event.encode())

    body = {"text": MAPPING, "index": 0, "name": "x"}
    response, content = send(server, "propose", body)

    assert (response.status, "recursion depth" in content["problem"]) == (400, True)
    assert send(server, "explain", body)[1]["outcome"] == "billed"


def test_events_are_added_and_cleared(server: Server) -> None:
    """With the name of their file; damaged ones are reported."""
    _, added = send(server, "events?name=a%20b.json", b"x\n" + to_lines(FIVE).encode())
    _, cleared = send(server, "clear", {})

    assert (added["total"], added["problems"][0][:8]) == (10, "a b.json")
    assert (cleared["total"], cleared["names"]) == (0, [])
    assert cleared["version"] > added["version"]


def test_a_later_evaluation_replaces_an_earlier_one_of_the_same_page(
    server: Server,
) -> None:
    """Two pages don't disturb each other, and a late request gets nothing."""
    first = server.start_evaluation("a", 1)
    other = server.start_evaluation("b", 1)
    assert (first(), other()) == (True, True)

    second = server.start_evaluation("a", 2)
    late = server.start_evaluation("a", 1)

    assert (first(), second(), late(), other()) == (False, True, False, True)
    body = {"text": MAPPING, "page": "a"}
    assert send(server, "evaluate", body | {"number": 1})[1] == {}
    assert send(server, "evaluate", body | {"number": 3})[1]["marks"] == "bbbbf"


def test_only_some_pages_are_remembered(server: Server) -> None:
    """A program that opens many needs no more memory."""
    evaluations = [server.start_evaluation(str(n), 1) for n in range(1_000)]

    assert all(is_needed() for is_needed in evaluations)
    assert len(vars(server)["_latest"]) == 100


def test_the_mapping_is_saved(server: Server, mapping: Path) -> None:
    """As the page sends it, with its line endings."""
    _, state = send(server, "state")
    text = MAPPING.replace("\n", "\r\n")
    body = {"text": text, "version": state["version"], "force": False}

    _, saved = send(server, "save", body)

    assert mapping.read_bytes() == text.encode()
    assert send(server, "state")[1]["version"] == saved["version"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["none.ndjson"], "'none.ndjson': No such file or directory"),
        (["--mapping", "none.toml"], "'none.toml' does not exist"),
        (["--mapping", "{folder}/bytes.toml"], "bytes.toml: not UTF-8 at byte 0"),
        (["--port", "{port}"], "is in use; choose another --port, or leave it out"),
    ],
)
def test_what_can_not_be_opened_is_reported(
    server: Server, tmp_path: Path, arguments: list[str], problem: str
) -> None:
    """In one line, before a page is opened."""
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    values = {"folder": tmp_path, "port": server.server_port}
    command = ["studio", "--no-browser", *(a.format(**values) for a in arguments)]

    done = CliRunner().invoke(cli, command)

    assert done.exit_code == 2
    assert problem in done.output
