"""Send a minute of traffic through the function while Hyperline fails at random.

The function runs in a pool of processes, as Lambda would run it, since the local API
Gateway is slower than the function. Segment's part is played as in real life: what is
answered 429, 5xx or not at all is sent again, in other groups. Exits with 1 if an event
is lost or changed in the end.

What this does not prove: one machine does it all over its loopback, so nothing is said
about networks, TLS, AWS's own limits or cold starts; and the times are those of a busy
machine with few cores.
"""

import json
import multiprocessing
import os
import random
import sys
import time
from collections import Counter, deque
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any, NamedTuple

from fake_hyperline import Answer, FakeHyperline, Manner
from local_stack import (
    ROOT,
    SECRET,
    Progress,
    client,
    end_when_told,
    local_environment,
    receive_all,
    start_aws,
)
from segment_webhook import Webhook, array, single, to_api_gateway, write

SECONDS = 60
SINGLES_PER_SECOND = 100
ARRAY_EVENTS = 1_000
PROCESSES = 4
FAULT_SHARE = 0.05
FAULTS = [
    Answer(500),
    Answer(503, stores=True),
    Answer(429),
    Answer(400),
    Answer(202, b"", delay=1, stores=True),
    Answer(manner=Manner.RESET),
    Answer(manner=Manner.RESET, stores=True),
    Answer(manner=Manner.DROPPED),
    Answer(202, manner=Manner.DRIPPED, stores=True),
]


class Done(NamedTuple):
    """What a process has to say of a call."""

    status: int
    seconds: float


class Traffic:
    """Segment's side: makes events, sends them, and sends again what was unsettled."""

    def __init__(self, pool: ProcessPoolExecutor, hyperline: FakeHyperline) -> None:
        self.pool, self.hyperline = pool, hyperline
        self.random = random.Random(1)
        self.events: dict[str, str] = {}
        self.again: deque[str] = deque()
        self.calls: dict[Future[Done], list[str]] = {}
        self.answers: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.retried = 0

    def make(self, number: int) -> list[str]:
        """Return the ids of *number* new events; one in a hundred can't be billed."""
        ids = [f"load-{len(self.events) + offset}" for offset in range(number)]
        for message_id in ids:
            self.events[message_id] = write(self.event(message_id))
        return ids

    def event(self, message_id: str) -> dict[str, Any]:
        """Return a new event."""
        now = datetime.now(UTC).isoformat()
        return {
            "type": "track",
            "event": self.random.choice(["Seats Added", "Report Exported"]),
            "messageId": message_id,
            "userId": None if self.random.random() < 0.01 else "customer-42",
            "timestamp": now,
            "receivedAt": now,
            "properties": {"amount": self.random.randrange(1000), "plan": "team"},
        }

    def send(self, ids: list[str]) -> None:
        """Begin a call with these events; now and then something goes wrong with it."""
        if self.random.random() < FAULT_SHARE:
            self.hyperline.answers(self.random.choice(FAULTS))
        texts = [self.events[message_id] for message_id in ids]
        webhook = array(texts) if len(texts) > 1 else single(texts[0])
        self.calls[self.pool.submit(handle, webhook)] = ids

    def collect(self) -> None:
        """Take the answers that are there; what is not settled is to be sent again."""
        for call in [call for call in self.calls if call.done()]:
            ids, done = self.calls.pop(call), call.result()
            self.answers[done.status] += 1
            self.seconds.append(done.seconds)
            if done.status in (429, 500, 503):
                self.again.extend(ids)
                self.retried += len(ids)

    def send_again(self) -> None:
        """Send what was not settled, in groups of another size than before."""
        size = self.random.choice([1, 10, ARRAY_EVENTS])
        ids = [self.again.popleft() for _ in range(min(size, len(self.again)))]
        if ids:
            self.send(ids)


def prepare(environment: dict[str, str]) -> None:
    """Make this process one in which Lambda would run the function."""
    os.environ.update(environment)
    sys.path.insert(0, str(ROOT / "function"))
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - the log of the function
    import app  # noqa: F401, PLC0415 - Lambda imports it before the first call


def handle(webhook: Webhook) -> Done:
    """Run the function on one call, in a process made by `prepare`."""
    import app  # noqa: PLC0415

    began = time.perf_counter()
    response = app.lambda_handler(to_api_gateway(webhook), Context())
    return Done(response["statusCode"], time.perf_counter() - began)


class Context:
    """What the function reads of Lambda's context."""

    function_name = "receiver"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:1:function:receiver"
    aws_request_id = "load"


def run(traffic: Traffic) -> None:
    """Send for a minute, with a line each second, and then until all is settled."""
    began = time.monotonic()
    for second in range(SECONDS):
        traffic.send(traffic.make(ARRAY_EVENTS))
        for _ in range(SINGLES_PER_SECOND):
            traffic.send(traffic.make(1))
            traffic.collect()
            due = began + second + (_ + 1) / SINGLES_PER_SECOND
            time.sleep(max(0, due - time.monotonic()))
        traffic.send_again()
        progress = f"{second + 1:3} s  {len(traffic.events)} events"
        print(f"\r{progress}, {traffic.retried} sent again", end="", flush=True)
    print("\nwaiting until all is settled", flush=True)
    while traffic.calls or traffic.again:
        traffic.hyperline.script.clear()
        traffic.collect()
        traffic.send_again()
        time.sleep(0.05)


def report(traffic: Traffic, kept: set[str]) -> bool:
    """Print what became of the events; return whether all is as it must be."""
    sys.path.insert(0, str(ROOT / "function"))
    import mapping  # noqa: PLC0415
    from mapping_file import load  # noqa: PLC0415

    rules = load(ROOT / "function/mapping.toml")
    store = {key[1]: body for key, body in traffic.hyperline.store.items()}
    lost = traffic.events.keys() - store.keys() - kept
    changed = 0
    for message_id, body in store.items():
        billable = mapping.apply(rules, json.loads(traffic.events[message_id]))
        changed += billable is None or billable.json != body
    percentiles = quantiles(traffic.seconds, n=100)
    print(f"""
events      {len(traffic.events)}, in {len(traffic.seconds)} calls
delivered   {len(store)}
quarantined {len(kept)}
sent again  {traffic.retried}
lost        {len(lost)}
changed     {changed}
answers     {dict(sorted(traffic.answers.items()))}
handler     p50 {percentiles[49] * 1000:.1f} ms, p99 {percentiles[98] * 1000:.1f} ms
""")
    return not lost and not changed


def main() -> None:
    """Run the load test and stop all it started."""
    end_when_told()
    host = "127.0.0.1"
    step = Progress(quiet=False)
    with FakeHyperline(host) as hyperline, start_aws(host, step) as endpoint:
        client("secretsmanager", endpoint).create_secret(
            Name="load", SecretString=json.dumps(SECRET)
        )
        sqs = client("sqs", endpoint)
        queue = sqs.create_queue(QueueName="load")["QueueUrl"]
        environment = local_environment(
            endpoint,
            SECRET_ID="load",
            HYPERLINE_URL=hyperline.url,
            QUARANTINE_QUEUE_URL=queue,
        )
        with ProcessPoolExecutor(
            PROCESSES,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=prepare,
            initargs=(environment,),
        ) as pool:
            traffic = Traffic(pool, hyperline)
            run(traffic)
        messages = map(json.loads, receive_all(sqs, queue))
        kept = {event["messageId"] for m in messages for event in m["events"]}
        good = report(traffic, kept)
    print(__doc__.partition("\n\n")[2].rpartition("\n\n")[2])
    sys.exit(0 if good else "Events were lost or changed, see above.")


if __name__ == "__main__":
    main()
