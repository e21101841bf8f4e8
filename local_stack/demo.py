"""The command `demo`: deploy the application into a local AWS, and send requests."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table

from local_stack.aws import ROOT, local_environment
from local_stack.fake_api import FakeResponse
from local_stack.processes import ending_cleanly
from local_stack.segment_requests import (
    Webhook,
    array,
    extensible,
    read_sdk_events,
    single,
    write,
)
from local_stack.stack import STACK_NAME, LocalStack, deploy
from segment_to_hyperline.cli.statuses import CHECK_FAILED, fail, format_epilog
from segment_to_hyperline.defaults import MAPPING_VARIABLE
from segment_to_hyperline.text import LINE_LENGTH

# The Replayer waits up to 5 s for more messages.
_REPLAY_SECONDS = 60


class Step(NamedTuple):
    """Requests to send, and what must come of them."""

    name: str
    webhooks: Sequence[Webhook]
    statuses: Counter[int]
    """How many responses must have each status."""
    counts: Counter[str]
    """How many events must have each outcome."""
    billed: frozenset[tuple[str, str]] = frozenset()
    """The type and the id of each event that must be billed."""


class Observed(NamedTuple):
    """What came of the requests of a step."""

    statuses: Counter[int]
    """How many responses had each status."""
    counts: Counter[str]
    """How many events had each outcome."""
    stored: int
    """How many events are new in Hyperline."""


def sample_steps() -> Iterator[Step]:
    """Yield the requests in events/."""
    for name, description in (
        ("track", "a track event"),
        ("identify", "an event that no rule matches"),
        ("array", "a batch of three, one known"),
        ("segment-test-event", "an event of the Event Tester"),
    ):
        webhook = read_sample(name)
        content = json.loads(webhook.body)
        events = content if isinstance(content, list) else [content]
        yield expect(description, [(webhook, events)])
    yield reject("a wrong signature", read_sample("bad-signature"), 401)
    yield reject("a body that is not JSON", read_sample("malformed-body"), 400)


def read_sample(name: str) -> Webhook:
    """Return the request in events/*name*.json."""
    sample = json.loads((ROOT / f"events/{name}.json").read_text("utf-8"))
    return Webhook(sample["body"], sample["headers"])


def sdk_steps() -> Iterator[Step]:
    """Yield requests with 60 events of Segment's SDKs."""
    texts = read_sdk_events()
    events = [json.loads(text) for text in texts]
    singles = [(single(texts[number]), [events[number]]) for number in range(20)]
    yield expect("20 events of SDKs, one by one", singles)
    batch = [(array(texts[20:40]), events[20:40])]
    yield expect("a batch of 20", batch)
    wrapped = [(extensible(texts[40:]), events[40:])]
    yield expect("a batch of the Extensible Webhook", wrapped)
    yield expect("the first batch again, as a retry", batch)


def outage_steps() -> Iterator[Step]:
    """Yield two requests for while Hyperline is down, and a retry for afterwards."""
    event = json.loads(read_sample("track").body)
    now = datetime.now(UTC).isoformat()
    new = event | {"messageId": "demo-new", "timestamp": now, "receivedAt": now}
    old = event | {"messageId": "demo-old"}
    webhook = single(write(new))
    yield Step(
        "Hyperline down: a new event",
        [webhook],
        Counter([503]),
        Counter(pending=1),
    )
    yield Step(
        "Hyperline down: an old event",
        [single(write(old))],
        Counter([200]),
        Counter(parked=1),
        frozenset({(old["event"], old["messageId"])}),
    )
    yield expect("Hyperline up: a retry", [(webhook, [new])])


def expect(
    name: str, requests: Sequence[tuple[Webhook, Sequence[dict[str, Any]]]]
) -> Step:
    """Return a step with the results that the default mapping leads to."""
    statuses, counts, billed = Counter[int](), Counter[str](), set[tuple[str, str]]()
    for _, events in requests:
        outcomes = [expect_outcome(event) for event in events]
        statuses[422 if set(outcomes) == {"quarantined"} else 200] += 1
        counts.update(outcomes)
        billed |= {
            (event["event"], event["messageId"])
            for event, outcome in zip(events, outcomes, strict=True)
            if outcome == "delivered"
        }
    webhooks = [webhook for webhook, _ in requests]
    return Step(name, webhooks, statuses, counts, frozenset(billed))


def expect_outcome(event: dict[str, Any]) -> str:
    """Return the expected outcome: track events are billed, and require a userId."""
    if event["type"] != "track":
        return "filtered"
    return "delivered" if event["userId"] is not None else "quarantined"


def reject(name: str, webhook: Webhook, status: int) -> Step:
    """Return a step with a request that is rejected as a whole."""
    return Step(name, [webhook], Counter([status]), Counter())


def send(step: Step, stack: LocalStack) -> Observed:
    """Send the requests of *step*."""
    before = len(stack.hyperline.store)
    statuses, counts = Counter[int](), Counter[str]()
    for webhook in step.webhooks:
        response = stack.send(webhook)
        body = response.json()
        statuses[response.status_code] += 1
        numbers = {k: v for k, v in body.items() if isinstance(v, int)}
        counts.update(numbers)
    return Observed(statuses, +counts, len(stack.hyperline.store) - before)


def run_step(step: Step, stack: LocalStack, table: Table) -> bool:
    """Send the requests, add a row; return whether the responses are as expected."""
    observed = send(step, stack)
    passed = observed[:2] == (step.statuses, step.counts)
    statuses = [
        str(status) if len(observed.statuses) == 1 else f"{status} ({number})"
        for status, number in observed.statuses.items()
    ]
    counts = [f"{number} {label}" for label, number in observed.counts.items()]
    problem = "" if passed else f"FAILED: expected {step.statuses} {step.counts}"
    table.add_row(
        step.name,
        "\n".join(statuses),
        problem or "\n".join(counts) or "rejected",
        describe_stored(observed),
        style="" if passed else "bold red",
    )
    return passed


def describe_stored(observed: Observed) -> str:
    """Return how many events are new in Hyperline, and how many were there before."""
    repeated = observed.counts["delivered"] - observed.stored
    new = f"{observed.stored} new" if observed.stored else ""
    known = f"{repeated} billed before" if repeated > 0 else ""
    return "\n".join(filter(None, (new, known))) or "-"


def show(stack: LocalStack) -> bool:
    """Run all steps, print the results, and return whether they are as expected."""
    sent = Column("Segment sends", no_wrap=True)
    table = Table(sent, "status", "events", "in Hyperline", box=SIMPLE)
    steps = [*sample_steps(), *sdk_steps()]
    passed = [run_step(step, stack, table) for step in steps]
    *during, after = outage_steps()
    stack.hyperline.outage = FakeResponse(503)
    passed += [run_step(step, stack, table) for step in during]
    stack.hyperline.outage = None
    passed.append(run_step(after, stack, table))
    steps += [*during, after]
    billed = frozenset().union(*(step.billed for step in steps))
    is_complete = wait_for_replay(stack, len(billed))
    passed.append(is_complete)
    replayed = "1 delivered" if is_complete else "FAILED"
    table.add_row(
        "(the Replayer bills the old event)",
        "-",
        replayed,
        "1 new" * is_complete,
    )
    print_table(table)

    passed.append(stack.hyperline.store.keys() == billed)
    print(
        f"Hyperline stored {len(stack.hyperline.store)} events, each once. The first:"
    )
    print(next(iter(stack.hyperline.store.values())).decode())

    quarantined = Counter[str]()
    for message in stack.quarantined():
        quarantined[message["reason"]] += len(message["events"])
    print("\nEvents in Quarantine, by reason:")
    for reason, number in quarantined.items():
        print(f"{number:>4}  {reason}")
    expected = sum(step.counts["quarantined"] for step in steps)
    passed.append(quarantined.total() == expected)
    accepted = [w for s in steps if s.counts for w in s.webhooks]
    passed += prove([webhook.body for webhook in accepted], stack)
    return all(passed)


def print_table(table: Table) -> None:
    """Print *table*; unlike rich, raise BrokenPipeError if the output is closed."""
    console = Console(width=LINE_LENGTH)
    with console.capture() as captured:
        console.print(table)
    print(captured.get(), flush=True)


def prove(bodies: Sequence[str], stack: LocalStack) -> Iterator[bool]:
    """Reconcile what was sent, lose an event, find it, and bill it.

    Yields whether each of these commands had the expected result.
    """
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder, "sent.ndjson")
        events.write_text("\n".join(bodies), "utf-8")

        def run(*arguments: str, status: int = 0) -> bool:
            print(f"\n$ segment-to-hyperline {shlex.join(arguments)}", flush=True)
            done = subprocess.run(
                [sys.executable, "-m", "segment_to_hyperline", *arguments],
                cwd=folder,
                env=local_environment(
                    stack.endpoint,
                    HYPERLINE_API_KEY=stack.hyperline.key,
                    HYPERLINE_URL=stack.hyperline.url,
                ),
                capture_output=True,
                text=True,
                check=False,
            )
            first, *_ = [*done.stdout.splitlines(), done.stderr.strip()]
            print(first, flush=True)
            return done.returncode == status

        yield run("reconcile", events.name, "--deep")
        stored = len(stack.hyperline.store)
        lost, _ = stack.hyperline.store.popitem()
        stack.hyperline.rows.forget()
        print(f"\n(Hyperline loses {' '.join(lost)})")
        yield run("reconcile", events.name, "--deep", status=1)
        yield run("backfill", events.name, "--stack", STACK_NAME, "--old", "--yes")
        yield wait_for_replay(stack, stored)
        yield run("reconcile", events.name, "--deep")


def wait_for_replay(stack: LocalStack, expected: int) -> bool:
    """Wait until Hyperline stored the *expected* number of events."""
    give_up = time.monotonic() + _REPLAY_SECONDS
    while len(stack.hyperline.store) < expected and time.monotonic() < give_up:
        time.sleep(0.1)
    return len(stack.hyperline.store) == expected


@click.command(
    epilog=format_epilog(
        "demo",
        {
            CHECK_FAILED: (
                "a result is not the expected one, or the local AWS or SAM failed"
            )
        },
    )
)
def demo() -> None:
    """Deploy into a local AWS, send events, and show what happens to them.

    The check fails if a result is not the expected one.
    """
    # The expected results are those of the mapping of the repository.
    os.environ.pop(MAPPING_VARIABLE, None)
    with ending_cleanly(), deploy() as stack:
        passed = show(stack)
    if not passed:
        fail("the demo failed, see above")
