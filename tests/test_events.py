"""The samples for `sam local invoke` are what they say they are."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import Call, Secret
from samples import track
from segment_webhook import BEARER_TOKEN, SHARED_SECRET, sign

EVENTS = Path(__file__).parents[1] / "events"
ANSWERS = {
    "array": (200, {"delivered": 2, "filtered": 1}),
    "bad-signature": (401, {}),
    "identify": (200, {"filtered": 1}),
    "malformed-body": (400, {}),
    "segment-test-event": (200, {"delivered": 1}),
    "track": (200, {"delivered": 1}),
}


def test_every_sample_has_an_answer() -> None:
    """No sample is left out below."""
    assert sorted(path.stem for path in EVENTS.iterdir()) == sorted(ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_sample_is_answered_as_its_name_says(
    call: Call, secret: Secret, name: str
) -> None:
    """Each sample runs, with the secret of the local stack."""
    secret.put(segment_bearer_token=BEARER_TOKEN, segment_shared_secret=SHARED_SECRET)
    sample = json.loads((EVENTS / f"{name}.json").read_text("utf-8"))

    answer = call(sample)

    assert (answer.status, answer.counts) == ANSWERS[name]


def test_the_sample_with_a_bad_signature_is_else_the_same() -> None:
    """What is wrong with it is the signature alone."""
    good, bad = (
        json.loads((EVENTS / f"{name}.json").read_text("utf-8"))
        for name in ("track", "bad-signature")
    )

    good["headers"].pop("x-signature")
    assert bad["headers"].pop("x-signature") != sign(bad["body"])
    assert bad == good


@pytest.mark.parametrize("content", [track(), [track(), track(messageId="ü-2")]])
def test_a_sample_can_be_made_of_an_event(
    call: Call, secret: Secret, content: Any
) -> None:
    """The command that the README shows signs events of one's own."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    command = [sys.executable, "tools/segment_webhook.py"]

    made = subprocess.run(
        command,
        cwd=EVENTS.parent,
        input=json.dumps(content),
        capture_output=True,
        text=True,
        check=True,
    )

    assert call(json.loads(made.stdout)).status == 200
