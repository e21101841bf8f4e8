"""What a call costs, as far as that does not depend on the machine's mood."""

from pathlib import Path

import calls
from conftest import Call, Secret
from contenders import Contender, Worker, start_upstream, start_worker
from fake_hyperline import FakeHyperline
from samples import track
from segment_webhook import BEARER_TOKEN, array, write

ROOT = Path(__file__).parents[1]


def test_a_thousand_calls_share_a_connection(
    call: Call, hyperline: FakeHyperline
) -> None:
    """To connect anew costs more than to post."""
    for number in range(1_000):
        assert call(track(messageId=f"m-{number}")).status == 200

    assert len(hyperline.requests) == 1_000
    assert len({request.client_port for request in hyperline.requests}) == 1


def test_a_thousand_events_of_an_array_are_one_call(
    call: Call, secret: Secret, hyperline: FakeHyperline
) -> None:
    """Hyperline limits calls, not events."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    events = [write(track(messageId=f"m-{number}")) for number in range(1_000)]

    assert call(array(events)).counts == {"delivered": 1_000}

    assert [request.path for request in hyperline.requests] == ["/v1/events/batch"]


def test_memory_does_not_grow_with_the_calls() -> None:
    """A function lives for hours, and calls must leave nothing behind."""

    def resident(worker: Worker, times: int) -> int:
        return int(worker.run([calls.make_single()], times)["rss"])

    this = Contender("this function", ROOT / "function", "app")
    with start_upstream() as upstream, start_worker(this, upstream) as worker:
        before = resident(worker, 500)
        grown = resident(worker, 3_000) - before
        measured = upstream.counts()

    assert measured == {"calls": 3_500, "connections": 1}
    assert grown < 1_000_000
