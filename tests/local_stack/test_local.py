"""The command `local`: the line about each request, and what it shares with others."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from local_stack import local
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import (
    BEARER_TOKEN,
    Webhook,
    array,
    single,
    write,
)
from local_stack.watched_files import WatchedFiles
from local_stack.webhook_proxy import WebhookProxy
from segment_to_hyperline.cli.main import cli
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.file import load_rules
from segment_to_hyperline.sending.posting import post
from segment_to_hyperline.sending.responses import NoResponse, Response
from tests.conftest import Secret
from tests.samples import track
from tests.segment_to_hyperline.sending.gateway import FakeGateway

UNMAPPABLE = [track(messageId=f"m-{number}", userId=None) for number in range(2)]
REASON = "m-0: rule 1 (track): customer_id: userId is null"


def bill(event: Any) -> str:
    """Return the billable event that is posted for *event*."""
    (billable,) = apply_rules(load_rules(local.MAPPING), event)
    return json.dumps(json.loads(billable.json))


@pytest.fixture
def proxy(
    gateway: FakeGateway, secret: Secret, hyperline: FakeHyperline
) -> Iterator[WebhookProxy]:
    """The proxy in front of an API."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    with WebhookProxy(0) as proxy:
        proxy.connect(gateway.url, hyperline)
        yield proxy


def send(proxy: WebhookProxy, webhook: Webhook, path: str = "/segment") -> int:
    """Send a request through the proxy, and return the status."""
    response = post(f"{proxy.url}{path}", webhook, 30)
    assert isinstance(response, Response)
    return response.status


@pytest.mark.parametrize(
    ("webhook", "status", "line"),
    [
        (single(write(track())), 200, f"200  1 delivered  posted {bill(track())}"),
        (
            array([write(track(messageId=f"m-{number}")) for number in range(3)]),
            200,
            f"200  3 delivered  posted {bill(track(messageId='m-0'))} and 2 more",
        ),
        (
            array([write(event) for event in UNMAPPABLE]),
            422,
            f"422  2 quarantined  ({REASON} and 1 more)",
        ),
        (single(write(track(type="identify"))), 200, "200  1 filtered"),
    ],
)
def test_each_request_has_a_line(
    proxy: WebhookProxy, webhook: Webhook, status: int, line: str
) -> None:
    """It has the status, the outcomes, the first reason, and what was posted."""
    assert send(proxy, webhook) == status

    assert list(proxy.wait_for_lines(0)) == [line]
    assert list(proxy.wait_for_lines(0)) == []


def test_a_request_that_is_rejected_has_a_line(proxy: WebhookProxy) -> None:
    """For example, if its signature is wrong, or the path."""
    wrong = single("{}")._replace(body='{"a":1}')

    assert send(proxy, wrong) == 401
    assert send(proxy, wrong, "/other") == 404

    rejected, other = proxy.wait_for_lines(0)
    assert rejected.startswith("401  rejected  (the X-Signature header is missing")
    assert other.startswith("404  not a response of this application: ")


def test_what_the_replayer_posts_has_a_line_of_its_own(
    proxy: WebhookProxy, hyperline: FakeHyperline
) -> None:
    """It isn't shown as a part of the next request."""
    billable = bill(track(messageId="parked"))
    headers = {"Authorization": f"Bearer {hyperline.key}"}
    stored = post(f"{hyperline.url}/v1/events", Webhook(billable, headers))
    assert not isinstance(stored, NoResponse)

    send(proxy, single(write(track(type="identify"))))

    assert list(proxy.wait_for_lines(0)) == [
        f"Replayer  posted {billable}",
        "200  1 filtered",
    ]


def test_what_the_replayer_posts_is_shown_without_a_request(
    proxy: WebhookProxy, hyperline: FakeHyperline
) -> None:
    """Soon after it was posted."""
    headers = {"Authorization": f"Bearer {hyperline.key}"}
    post(f"{hyperline.url}/v1/events", Webhook(bill(track()), headers))

    lines = [*proxy.wait_for_lines(0), *proxy.wait_for_lines(0)]

    assert lines == [f"Replayer  posted {bill(track())}"]


def test_a_request_before_the_stack_is_ready_is_retried() -> None:
    """Segment retries after 503."""
    with WebhookProxy(0) as proxy:
        assert send(proxy, single("{}")) == 503


def test_an_api_that_does_not_respond(
    gateway: FakeGateway, hyperline: FakeHyperline
) -> None:
    """The line says that it isn't the application's response."""
    gateway.close()
    with WebhookProxy(0) as proxy:
        proxy.connect(gateway.url, hyperline)

        assert send(proxy, single("{}")) == 502

        (line,) = proxy.wait_for_lines(0)
    assert line.startswith("502  not a response of this application: ")


def test_a_port_that_is_used() -> None:
    """The message says which option helps."""
    with WebhookProxy(0) as other:
        port = int(other.url.rpartition(":")[2])

        with pytest.raises(click.UsageError) as caught:
            local.open_proxy(port)

    assert str(caught.value) == (
        f"another program listens on port {port}: choose one with --port"
    )


def test_it_runs_once_in_a_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The second one leaves the environment of the first one as it is."""
    monkeypatch.setattr(local, "LOCK", tmp_path / "folder/lock")
    monkeypatch.setattr(local, "ENVIRONMENT", tmp_path / "environment.json")
    local.ENVIRONMENT.write_text("{}")

    with local.lock_checkout():
        done = CliRunner().invoke(cli, ["local"])

    assert done.exit_code == 2
    assert "`local` runs in this checkout already: use it, or stop it" in done.output
    assert local.ENVIRONMENT.read_text() == "{}"
    with local.lock_checkout():
        pass


def test_a_changed_file_is_noticed_once_it_is_complete(tmp_path: Path) -> None:
    """An editor can write it in several steps, and a change can be undone."""
    path, missing = tmp_path / "mapping.toml", tmp_path / "mapping_tests.toml"
    path.write_text("one")
    files = WatchedFiles(path, missing)
    assert not files.have_changed()

    path.write_text("")
    assert not files.have_changed()
    path.write_text("two")
    assert not files.have_changed()
    assert files.have_changed()
    assert not files.have_changed()

    path.write_text("three")
    assert not files.have_changed()
    path.write_text("two")
    assert [files.have_changed() for _ in range(3)] == [False, False, False]
    missing.write_text("a test")
    assert [files.have_changed() for _ in range(3)] == [False, True, False]


def test_an_invalid_mapping_is_not_deployed(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is wrong is printed, and the earlier one stays."""
    path = Path(shutil.copy(local.MAPPING, tmp_path))
    path.write_text("[[rules]]\nunknown = 1\n")
    monkeypatch.setattr(local, "MAPPING", path)

    local.deploy_mapping(object())  # type: ignore[arg-type] # it isn't used

    shown = capsys.readouterr()
    assert shown.out == ""
    assert "unknown" in shown.err
    assert "The changed mapping isn't deployed, see above" in shown.err
