"""Demonstrate the application: deploy it into a local AWS, send requests, show results.

Exits with 1 if a response, or the events stored in Hyperline and the Quarantine queue
at the end, are not the expected ones.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tools.local_aws import ROOT, exit_on_sigterm
from tools.local_stack import LocalStack, deploy
from tools.segment_requests import (
    Webhook,
    array,
    extensible,
    read_sdk_events,
    single,
    write,
)

ROW = "{:<30} {:<8} {:<44.44} {}"


class Step(NamedTuple):
    """A request to send, the expected response, and the events it must bill."""

    name: str
    webhook: Webhook
    status: int
    counts: Counter[str]
    billed: frozenset[tuple[str, str]] = frozenset()


def sample_steps() -> Iterator[Step]:
    """Yield the requests in events/."""
    for name in ("track", "identify", "array", "segment-test-event"):
        webhook = read_sample(name)
        content = json.loads(webhook.body)
        events = content if isinstance(content, list) else [content]
        yield expect(f"events/{name}.json", webhook, events)
    for name, status in (("bad-signature", 401), ("malformed-body", 400)):
        yield Step(f"events/{name}.json", read_sample(name), status, Counter())


def read_sample(name: str) -> Webhook:
    """Return the request in events/*name*.json."""
    sample = json.loads((ROOT / f"events/{name}.json").read_text("utf-8"))
    return Webhook(sample["body"], sample["headers"])


def sdk_steps() -> Iterator[Step]:
    """Yield requests with events of Segment's SDKs: 20 single ones, and 3 arrays."""
    texts = read_sdk_events()
    events = [json.loads(text) for text in texts]
    for number in range(20):
        webhook = single(texts[number])
        yield expect(f"SDK event {number + 1}", webhook, [events[number]])
    step = expect("SDK events 21-40", array(texts[20:40]), events[20:40])
    yield step
    yield expect("SDK events 41-60, wrapped", extensible(texts[40:]), events[40:])
    yield step._replace(name="SDK events 21-40, repeated")


def outage_steps() -> Iterator[Step]:
    """Yield two requests for while Hyperline is down, and one for afterwards."""
    sample = read_sample("track")
    event = json.loads(sample.body)
    new = single(write(event | {"receivedAt": datetime.now(UTC).isoformat()}))
    yield Step("Hyperline down: new event", new, 503, Counter(pending=1))
    yield Step("Hyperline down: old event", sample, 422, Counter(quarantined=1))
    yield expect("Hyperline up: new event", new, [event])


def expect(name: str, webhook: Webhook, events: Sequence[dict[str, Any]]) -> Step:
    """Return a step with the results of *events* that the default mapping leads to."""
    outcomes = [expect_outcome(event) for event in events]
    billed = {
        (event["event"], event["messageId"])
        for event, outcome in zip(events, outcomes, strict=True)
        if outcome == "delivered"
    }
    return Step(
        name=name,
        webhook=webhook,
        status=422 if set(outcomes) == {"quarantined"} else 200,
        counts=Counter(outcomes),
        billed=frozenset(billed),
    )


def expect_outcome(event: dict[str, Any]) -> str:
    """Return the expected outcome: track events are billed, and require a userId."""
    if event["type"] != "track":
        return "filtered"
    return "delivered" if event["userId"] is not None else "quarantined"


def run(step: Step, stack: LocalStack) -> bool:
    """Send the request and print a row; return whether the response is as expected."""
    response = stack.send(step.webhook)
    body = response.json()
    counts = Counter({k: v for k, v in body.items() if k not in ("errors", "preview")})
    passed = response.status_code == step.status and counts == step.counts
    events = ", ".join(f"{number} {outcome}" for outcome, number in (+counts).items())
    events = events or body["errors"][0]["reason"]
    stored = str(len(stack.hyperline.store))
    if not passed:
        stored += f"  FAILED: expected {step.status} {dict(step.counts)}"
    print(ROW.format(step.name, response.status_code, events, stored))
    return passed


def show(stack: LocalStack) -> bool:
    """Run all steps, print the results, and return whether they are as expected."""
    print("\n" + ROW.format("request", "response", "events", "stored in Hyperline"))
    steps = [*sample_steps(), *sdk_steps()]
    passed = [run(step, stack) for step in steps]
    stack.hyperline.respond(503, 503)
    outage = list(outage_steps())
    passed += [run(step, stack) for step in outage]
    steps += outage

    print("\nStored in Hyperline for events/track.json:")
    print(next(iter(stack.hyperline.store.values())).decode())
    billed = frozenset().union(*(step.billed for step in steps))
    passed.append(stack.hyperline.store.keys() == billed)

    quarantined = Counter[str]()
    for message in stack.quarantined():
        quarantined[message["reason"]] += len(message["events"])
    print("Events in the Quarantine queue, by reason:", dict(quarantined))
    expected = sum(step.counts["quarantined"] for step in steps)
    passed.append(quarantined.total() == expected)
    return all(passed)


def main() -> None:
    """Run the demo, and stop everything it started."""
    exit_on_sigterm()
    with deploy() as stack:
        passed = show(stack)
    sys.exit(0 if passed else "The demo failed, see above.")


if __name__ == "__main__":
    main()
