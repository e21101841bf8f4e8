"""Show the main job: deploy into a local AWS, call as Segment does, look at Hyperline.

Exits with 1 if an answer, or what Hyperline and the Quarantine queue hold in the
end, is not what the calls should lead to.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from local_stack import ROOT, LocalStack, deploy, end_when_told
from segment_webhook import Webhook, array, extensible, single, write

ROW = "{:<30} {:<7} {:<44} {}"


class Call(NamedTuple):
    """A call to make, what it must be answered, and the events it must bill."""

    name: str
    webhook: Webhook
    status: int
    counts: Counter[str]
    billed: frozenset[tuple[str, str]] = frozenset()


def samples() -> Iterator[Call]:
    """Yield the calls in events/."""
    for name in ("track", "identify", "array", "segment-test-event"):
        webhook = read_sample(name)
        content = json.loads(webhook.body)
        events = content if isinstance(content, list) else [content]
        yield expect(f"events/{name}.json", webhook, events)
    for name, status in (("bad-signature", 401), ("malformed-body", 400)):
        yield Call(f"events/{name}.json", read_sample(name), status, Counter())


def read_sample(name: str) -> Webhook:
    """Return the call that events/*name*.json holds."""
    sample = json.loads((ROOT / f"events/{name}.json").read_text("utf-8"))
    return Webhook(sample["body"], sample["headers"])


def sdk_events() -> Iterator[Call]:
    """Yield calls with 60 events that Segment's own SDKs made: alone and in arrays."""
    lines = Path(__file__).with_name("segment-events.ndjson").read_text("utf-8")
    texts = lines.rstrip("\n").split("\n")  # JSON may hold what splitlines breaks at
    events = [json.loads(text) for text in texts]
    for number in range(20):
        webhook = single(texts[number])
        yield expect(f"SDK event {number + 1}", webhook, [events[number]])
    some = expect("SDK events 21-40", array(texts[20:40]), events[20:40])
    yield some
    yield expect("SDK events 41-60, wrapped", extensible(texts[40:]), events[40:])
    yield some._replace(name="SDK events 21-40, once more")


def expect(name: str, webhook: Webhook, events: Sequence[dict[str, Any]]) -> Call:
    """Return the call with what must become of *events* by the mapping as it comes."""
    outcomes = [outcome(event) for event in events]
    billed = {
        (event["event"], event["messageId"])
        for event, outcome in zip(events, outcomes, strict=True)
        if outcome == "delivered"
    }
    status = 422 if set(outcomes) == {"quarantined"} else 200
    return Call(name, webhook, status, Counter(outcomes), frozenset(billed))


def outcome(event: dict[str, Any]) -> str:
    """Return what must become of *event*: tracks are billed, and need a userId."""
    if event["type"] != "track":
        return "filtered"
    return "delivered" if event["userId"] is not None else "quarantined"


def make(call: Call, stack: LocalStack) -> bool:
    """Make the call, print a row about it, and return whether it went as it must."""
    response = stack.send(call.webhook)
    answer = response.json()
    lists = ("errors", "preview")
    counts = Counter({k: v for k, v in answer.items() if k not in lists})
    good = response.status_code == call.status and counts == call.counts
    told = ", ".join(f"{number} {outcome}" for outcome, number in (+counts).items())
    held = f"{len(stack.hyperline.store)} events"
    wrong = f"{held}  WRONG: expected {call.status} {dict(call.counts)}"
    told = (told or answer["errors"][0]["reason"])[:44]
    print(ROW.format(call.name, response.status_code, told, held if good else wrong))
    return good


def outage() -> Iterator[Call]:
    """Yield calls for while Hyperline is down, and one for when it is back."""
    old = json.loads(read_sample("track").body)
    new = single(write(old | {"receivedAt": datetime.now(UTC).isoformat()}))
    yield Call("Hyperline down: a new event", new, 503, Counter(pending=1))
    parked = Counter(quarantined=1)
    yield Call("Hyperline down: an old event", read_sample("track"), 422, parked)
    yield expect("Hyperline back: the new event", new, [old])


def show(stack: LocalStack) -> bool:
    """Make all calls and return whether everything ended as it must."""
    print("\n" + ROW.format("call", "answer", "its events", "Hyperline holds"))
    calls = [*samples(), *sdk_events()]
    good = [make(call, stack) for call in calls]
    stack.hyperline.answers(503, 503)
    calls += outage()
    good += [make(call, stack) for call in calls[-3:]]

    print("\nHyperline holds, of events/track.json:")
    print(next(iter(stack.hyperline.store.values())).decode())
    billed = frozenset().union(*(call.billed for call in calls))
    good.append(stack.hyperline.store.keys() == billed)

    kept = Counter[str]()
    for message in stack.quarantined():
        kept[message["reason"]] += len(message["events"])
    print("The Quarantine queue holds, by reason:", dict(kept))
    good.append(kept.total() == sum(call.counts["quarantined"] for call in calls))
    return all(good)


def main() -> None:
    """Run the demo and stop all it started, also when it is told to end early."""
    end_when_told()
    with deploy() as stack:
        good = show(stack)
    sys.exit(0 if good else "The demo did NOT go as it must, see above.")


if __name__ == "__main__":
    main()
