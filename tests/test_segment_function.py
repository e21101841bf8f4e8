"""What the README says about the function that Hyperline documents for Segment.

It is run as bench/ has it, which is with Node.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local_stack.aws import ROOT
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import single, write
from tests.samples import track

FUNCTION = ROOT / "bench/contenders/segment_function.mjs"
KEY = "test_local"
pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="needs Node")


def run(folder: Path, hyperline: FakeHyperline, *message_ids: str) -> bool:
    """Let the function process an event for each id; return whether Segment retries.

    Segment retries an event if the function raises RetryError.
    """
    requests = folder / "requests.json"
    webhooks = [single(write(track(messageId=name))) for name in message_ids]
    requests.write_text(json.dumps([webhook._asdict() for webhook in webhooks]))
    done = subprocess.run(
        ["node", FUNCTION],
        input=json.dumps({"requests": str(requests), "times": 1}) + "\n",
        env={"PATH": os.environ["PATH"], "HYPERLINE_URL": hyperline.url},
        capture_output=True,
        text=True,
        check=False,
    )
    is_retried = "RetryError" in done.stderr
    assert is_retried or done.returncode == 0, done.stderr
    return is_retried


def test_an_event_is_lost_while_the_function_has_an_old_key(tmp_path: Path) -> None:
    """Segment takes it as delivered, because the function ends without an error."""
    with FakeHyperline(key="test_new") as hyperline:
        assert not run(tmp_path, hyperline, "m-1")

        assert len(hyperline.requests) == 1
        assert hyperline.store == {}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_event_is_retried_during_an_outage(tmp_path: Path, status: int) -> None:
    """So it is lost only when Segment's retries end."""
    with FakeHyperline(key=KEY) as hyperline:
        hyperline.respond(status)

        assert run(tmp_path, hyperline, "m-1")


def test_each_event_is_posted_alone(tmp_path: Path) -> None:
    """The function has no handler for batches."""
    with FakeHyperline(key=KEY) as hyperline:
        run(tmp_path, hyperline, "m-1", "m-2", "m-3")

        assert [request.path for request in hyperline.requests] == ["/v1/events"] * 3


def test_a_duplicate_is_billed_once(tmp_path: Path) -> None:
    """Its id is the messageId, as here."""
    with FakeHyperline(key=KEY) as hyperline:
        run(tmp_path, hyperline, "m-1", "m-1")

        assert list(hyperline.store) == [("Seats Added", "m-1")]
