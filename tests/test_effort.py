"""How many requests, connections and bytes of memory the function uses."""

import subprocess
import sys
from pathlib import Path

from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import (
    BEARER_TOKEN,
    array,
    single,
    to_api_gateway,
    write,
)
from tests.conftest import Secret, Send
from tests.samples import track

ROOT = Path(__file__).parents[1]


def test_a_thousand_requests_share_a_connection(
    send: Send, hyperline: FakeHyperline
) -> None:
    """A new connection takes longer than posting an event."""
    for number in range(1_000):
        assert send(track(messageId=f"m-{number}")).status == 200

    assert len(hyperline.requests) == 1_000
    assert len({request.client_port for request in hyperline.requests}) == 1


def test_a_thousand_events_of_an_array_are_posted_in_one_request(
    send: Send, secret: Secret, hyperline: FakeHyperline
) -> None:
    """Hyperline limits the number of requests, not of events."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    events = [write(track(messageId=f"m-{number}")) for number in range(1_000)]

    assert send(array(events)).counts == {"delivered": 1_000}

    assert [request.path for request in hyperline.requests] == ["/v1/events/batch"]


def test_memory_does_not_grow_with_the_requests(
    secret: Secret, hyperline: FakeHyperline, tmp_path: Path
) -> None:
    """Lambda uses a process for hours, so a request must release its memory."""
    assert secret
    request = tmp_path / "request.json"
    request.write_text(write(to_api_gateway(single(write(track())))), "utf-8")

    before, after = measure_memory(request, 500, 3_000)

    assert len(hyperline.requests) == 3_500
    assert len({request.client_port for request in hyperline.requests}) == 1
    assert after - before < 1_000_000


def measure_memory(request: Path, *times: int) -> list[int]:
    """Return the Receiver's memory after it has handled *request* so many times."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.memory", str(request)],
        cwd=ROOT,
        input="".join(f"{number}\n" for number in times),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return [int(line) for line in done.stdout.splitlines()]
