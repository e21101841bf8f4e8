"""How many requests, connections and bytes of memory the function uses."""

from pathlib import Path

from bench.contenders import Contender, Worker, start_upstream, start_worker
from bench.invocations import make_single
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import BEARER_TOKEN, array, write
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


def test_memory_does_not_grow_with_the_requests() -> None:
    """Lambda uses a process for hours, so a request must release its memory."""

    def resident(worker: Worker, times: int) -> int:
        return int(worker.run([make_single()], times)["rss"])

    this = Contender("this function", ROOT / "function", "receiver")
    with start_upstream() as upstream, start_worker(this, upstream) as worker:
        before = resident(worker, 500)
        growth = resident(worker, 3_000) - before
        counts = upstream.counts()

    assert counts == {"requests": 3_500, "connections": 1}
    assert growth < 1_000_000
