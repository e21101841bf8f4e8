"""Show the main job: deploy into a local AWS, call as Segment does, look at Hyperline.

Exits with 1 if an answer, or what Hyperline and the Quarantine queue hold in the
end, is not what the calls should lead to.
"""

import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import segment_webhook
from local_stack import ROOT, LocalStack, deploy
from segment_webhook import Webhook

ROW = "{:<30} {:<7} {:<44} {}"


class Call(NamedTuple):
    """A call to make, and what it must be answered."""

    name: str
    webhook: Webhook
    status: int
    counts: Counter[str]


def samples() -> Iterator[Call]:
    """Yield the calls in events/."""
    expected = {
        "track": (200, {"delivered": 1}),
        "identify": (200, {"filtered": 1}),
        "array": (200, {"delivered": 2, "filtered": 1}),
        "segment-test-event": (200, {"delivered": 1}),
        "bad-signature": (401, {}),
        "malformed-body": (400, {}),
    }
    for name, (status, counts) in expected.items():
        sample = json.loads((ROOT / f"events/{name}.json").read_text("utf-8"))
        webhook = Webhook(sample["body"], sample["headers"])
        yield Call(f"events/{name}.json", webhook, status, Counter(counts))


def sdk_events() -> Iterator[Call]:
    """Yield calls with 60 events that Segment's own SDKs made: alone and in arrays."""
    lines = Path(__file__).with_name("segment-events.ndjson").read_text("utf-8")
    events = lines.rstrip("\n").split("\n")  # JSON may hold what splitlines breaks at
    for number, event in enumerate(events[:20], 1):
        webhook = segment_webhook.single(event)
        yield expect(f"SDK event {number}", webhook, [event])
    yield expect(
        "SDK events 21-40", segment_webhook.array(events[20:40]), events[20:40]
    )
    extensible = segment_webhook.extensible(events[40:])
    yield expect("SDK events 41-60, wrapped", extensible, events[40:])
    yield expect(
        "SDK events 21-40, once more",
        segment_webhook.array(events[20:40]),
        events[20:40],
    )


def expect(name: str, webhook: Webhook, events: Sequence[str]) -> Call:
    """Return the call with what must become of *events* by the mapping as it comes."""
    counts = Counter(map(outcome, map(json.loads, events)))
    return Call(name, webhook, 422 if counts.keys() == {"quarantined"} else 200, counts)


def outcome(event: dict[str, object]) -> str:
    """Return what must become of *event*: tracks are billed, and need a userId."""
    if event["type"] != "track":
        return "filtered"
    return "delivered" if event["userId"] is not None else "quarantined"


def make(call: Call, stack: LocalStack) -> bool:
    """Make the call, print a row about it, and return whether it went as it must."""
    response = stack.send(call.webhook)
    answer = response.json()
    counts = {k: v for k, v in answer.items() if k != "errors" and v}
    good = response.status_code == call.status and counts == call.counts
    told = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
    print(
        ROW.format(
            call.name,
            response.status_code,
            (told or answer["errors"][0]["reason"])[:44],
            f"{len(stack.hyperline.store)} events"
            if good
            else f"WRONG: expected {call.status} {dict(call.counts)}",
        )
    )
    return good


def show(stack: LocalStack) -> bool:
    """Make all calls and return whether everything ended as it must."""
    print("\n" + ROW.format("call", "answer", "its events", "Hyperline holds"))
    calls = [*samples(), *sdk_events()]
    good = [make(call, stack) for call in calls]

    track = calls[0]
    stack.hyperline.answers(503)
    outage = Call("while Hyperline is down", track.webhook, 503, Counter(pending=1))
    good.append(make(outage, stack))
    good.append(make(track._replace(name="sent again, as Segment does"), stack))

    kept = Counter[str]()
    for message in stack.quarantined():
        kept[message["reason"]] += len(message["events"])
    print("\nThe Quarantine queue holds", dict(kept))
    good.append(kept.total() == sum(call.counts["quarantined"] for call in calls))
    return all(good)


def main() -> None:
    """Run the demo and stop all it started, also when it is told to end early."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with deploy() as stack:
        good = show(stack)
    sys.exit(0 if good else "The demo did NOT go as it must, see above.")


if __name__ == "__main__":
    main()
