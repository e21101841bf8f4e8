"""The sample requests for `sam local invoke` in events/."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import replayer
from local_stack.fake_hyperline import FakeHyperline
from local_stack.invocations import Context
from local_stack.segment_requests import BEARER_TOKEN, SHARED_SECRET, sign
from tests.conftest import Secret, Send
from tests.samples import sqs_record, track

EVENTS = Path(__file__).parents[1] / "events"
RESPONSES = {
    "array": (200, {"delivered": 2, "filtered": 1}),
    "bad-signature": (401, {}),
    "identify": (200, {"filtered": 1}),
    "malformed-body": (400, {}),
    "segment-test-event": (200, {"delivered": 1}),
    "track": (200, {"delivered": 1}),
}


def test_every_sample_request_is_tested() -> None:
    """`RESPONSES` lists all files in events/, except the one for the Replayer."""
    names = {path.stem for path in EVENTS.glob("*.json")}

    assert names == {*RESPONSES, "parked-message"}


@pytest.mark.usefixtures("send")
def test_the_sample_message_is_delivered(hyperline: FakeHyperline) -> None:
    """It has the event of the sample request track."""
    sample = json.loads((EVENTS / "parked-message.json").read_text("utf-8"))
    track_request = json.loads((EVENTS / "track.json").read_text("utf-8"))

    response = replayer.lambda_handler(sample, Context())

    assert response == {"batchItemFailures": []}
    assert sample["Records"][0].keys() == sqs_record("").keys()
    (event,) = json.loads(sample["Records"][0]["body"])["events"]
    assert event == json.loads(track_request["body"])
    assert [key for _, key in hyperline.store] == [event["messageId"]]


@pytest.mark.parametrize("name", RESPONSES)
def test_a_sample_request_gets_the_response_that_its_name_suggests(
    send: Send, secret: Secret, name: str
) -> None:
    """The secret is that of the local stack."""
    secret.put(segment_bearer_token=BEARER_TOKEN, segment_shared_secret=SHARED_SECRET)
    sample = json.loads((EVENTS / f"{name}.json").read_text("utf-8"))

    response = send(sample)

    assert (response.status, response.counts) == RESPONSES[name]


def test_the_sample_request_with_a_bad_signature_has_no_other_error() -> None:
    """Apart from its signature, it is the sample request track."""
    good, bad = (
        json.loads((EVENTS / f"{name}.json").read_text("utf-8"))
        for name in ("track", "bad-signature")
    )

    good["headers"].pop("x-signature")
    assert bad["headers"].pop("x-signature") != sign(bad["body"])
    assert bad == good


@pytest.mark.parametrize("content", [track(), [track(), track(messageId="ü-2")]])
def test_a_request_can_be_built_from_any_event(
    send: Send, secret: Secret, content: Any
) -> None:
    """The README's command signs the event, or array of events, that it reads."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    command = [sys.executable, "-m", "segment_to_hyperline", "request"]

    built = subprocess.run(
        command,
        cwd=EVENTS.parent,
        input=json.dumps(content),
        capture_output=True,
        text=True,
        check=True,
    )

    assert send(json.loads(built.stdout)).status == 200
