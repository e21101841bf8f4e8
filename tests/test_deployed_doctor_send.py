"""`doctor --send` with the template, deployed by `sam` into a local AWS."""

import json
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from local_stack.aws import REGION
from local_stack.stack import SECRET, LocalStack, deploy
from segment_to_hyperline.cli.doctor_send import Installed, send_event
from segment_to_hyperline.secret import Secret
from tests.samples import track
from tests.segment_to_hyperline.reconciliation.planted import RULES


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """The deployed application, with a key of the sandbox."""
    with deploy(quiet=True) as stack:
        yield stack


def test_an_event_is_billed_found_in_the_log_read_back_and_deleted(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another event stays in Hyperline."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.endpoint)
    other = track(messageId="another-event")
    installed = Installed(
        f"{stack.api_url}/segment",
        stack.resources["ReceiverLog"],
        REGION,
        Secret(SECRET, 0, stack.hyperline.url),
    )
    well: list[bool] = []

    @click.command()
    def command() -> None:
        well.append(send_event(installed, RULES, [other], "acme"))

    key = (other["event"], other["messageId"])
    stack.hyperline.store[key] = json.dumps(
        {
            "customer_id": "customer-42",
            "event_type": other["event"],
            "timestamp": other["timestamp"],
            "record": {"id": other["messageId"]},
        }
    ).encode()

    done = CliRunner().invoke(command, input="y\ny\n")

    assert well == [True], done.output
    (written,) = [
        json.loads(version)
        for versions in stack.hyperline.writes.values()
        for version in versions
    ]
    assert written["customer_id"] == "acme"
    assert written["record"]["id"].startswith("doctor-")
    assert "log: the line of the event: status 200 delivered" in done.output
    assert [*stack.hyperline.store] == [key]
