"""Send a minute of traffic while Hyperline fails at random, and then is down for long.

The function runs in a pool of processes, as in Lambda, because the local API Gateway is
slower than the function. Segment is simulated realistically: it retries after 429, 5xx
and no response, and groups the events differently each time. Exits with 1 if an event
is lost or changed at the end.

Limits: everything runs on one machine over its loopback interface, so networks, TLS,
the limits of AWS and cold starts are not tested; and the times are those of a busy
machine with few cores.
"""

import json
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import UTC, datetime
from statistics import quantiles
from typing import Any

from local_stack import outage
from local_stack.aws import (
    ROOT,
    Progress,
    client,
    local_environment,
    receive_all,
    start_aws,
)
from local_stack.fake_api import Ending, FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.processes import ending_cleanly
from local_stack.segment_requests import array, single, write
from local_stack.stack import SECRET
from local_stack.workers import Response, handle, replay, start_workers
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.file import load_rules
from segment_to_hyperline.segment.facts import is_retried

SECONDS = 60
SINGLES_PER_SECOND = 100
ARRAY_EVENTS = 1_000
FAULT_SHARE = 0.05
FAULTS = [
    FakeResponse(500),
    FakeResponse(503, stores=True),
    FakeResponse(429),
    FakeResponse(400),
    FakeResponse(202, b"", delay=1, stores=True),
    FakeResponse(ending=Ending.RESET),
    FakeResponse(ending=Ending.RESET, stores=True),
    FakeResponse(ending=Ending.CLOSED),
    FakeResponse(202, ending=Ending.DRIPPED, stores=True),
]


class Traffic:
    """Simulates Segment: creates events, sends them, and retries those pending."""

    def __init__(self, pool: ProcessPoolExecutor, hyperline: FakeHyperline) -> None:
        self.pool, self.hyperline = pool, hyperline
        self.random = random.Random(1)
        self.events: dict[str, str] = {}
        """The JSON of each event by its id."""
        self.requests: dict[Future[Response], list[str]] = {}
        """The ids of the events in each running request."""
        self.pending: deque[str] = deque()
        """The ids of the events to retry."""
        self.statuses: Counter[int] = Counter()
        """How many responses had each status."""
        self.seconds: list[float] = []
        """How long each request took."""
        self.retried = 0
        """How many events were retried."""

    def create_events(self, number: int) -> list[str]:
        """Create *number* events and return their ids."""
        ids = [f"load-{len(self.events) + offset}" for offset in range(number)]
        for message_id in ids:
            self.events[message_id] = write(self.create_event(message_id))
        return ids

    def create_event(self, message_id: str) -> dict[str, Any]:
        """Return a new event; 1% of the events can't be billed."""
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
        """Start a request with these events; some requests meet a fault."""
        if self.random.random() < FAULT_SHARE:
            self.hyperline.respond(self.random.choice(FAULTS))
        texts = [self.events[message_id] for message_id in ids]
        webhook = array(texts) if len(texts) > 1 else single(texts[0])
        self.requests[self.pool.submit(handle, webhook)] = ids

    def collect(self) -> None:
        """Read the responses that have arrived; what Segment retries is pending."""
        for future in [future for future in self.requests if future.done()]:
            ids, response = self.requests.pop(future), future.result()
            self.statuses[response.status] += 1
            self.seconds.append(response.seconds)
            if is_retried(response.status):
                self.pending.extend(ids)
                self.retried += len(ids)

    def retry(self) -> None:
        """Send pending events again, in a group of random size."""
        size = self.random.choice([1, 10, ARRAY_EVENTS])
        ids = [self.pending.popleft() for _ in range(min(size, len(self.pending)))]
        if ids:
            self.send(ids)


def run(traffic: Traffic) -> None:
    """Send requests for a minute, and then retry until no event is pending."""
    began = time.monotonic()
    for second in range(SECONDS):
        traffic.send(traffic.create_events(ARRAY_EVENTS))
        for number in range(SINGLES_PER_SECOND):
            traffic.send(traffic.create_events(1))
            traffic.collect()
            due = began + second + (number + 1) / SINGLES_PER_SECOND
            time.sleep(max(0, due - time.monotonic()))
        traffic.retry()
        progress = f"{second + 1:3} s  {len(traffic.events)} events"
        print(f"\r{progress}, {traffic.retried} retried", end="", flush=True)
    print("\nwaiting until no event is pending", flush=True)
    while traffic.requests or traffic.pending:
        traffic.hyperline.scripted.clear()
        traffic.collect()
        traffic.retry()
        time.sleep(0.05)


def report(traffic: Traffic, quarantined: AbstractSet[str]) -> bool:
    """Print the results; return whether no event was lost or changed."""
    rules = load_rules(ROOT / "function/mapping.toml")
    store = {key[1]: body for key, body in traffic.hyperline.store.items()}
    lost = traffic.events.keys() - store.keys() - quarantined
    changed = 0
    for message_id, body in store.items():
        billed = apply_rules(rules, json.loads(traffic.events[message_id]))
        changed += [event.json for event in billed] != [body]
    percentiles = quantiles(traffic.seconds, n=100)
    print(f"""
events      {len(traffic.events)}, in {len(traffic.seconds)} requests
delivered   {len(store)}
quarantined {len(quarantined)}
retried     {traffic.retried}
lost        {len(lost)}
changed     {changed}
statuses    {dict(sorted(traffic.statuses.items()))}
handler     p50 {percentiles[49] * 1000:.1f} ms, p99 {percentiles[98] * 1000:.1f} ms
""")
    return not lost and not changed


def main() -> None:
    """Run the load test, and stop everything it started."""
    host = "127.0.0.1"
    step = Progress(quiet=False)
    # The traffic is slightly above Hyperline's limit of 100 requests per second.
    with (
        ending_cleanly(),
        FakeHyperline(host, rate_limit=1_000_000) as hyperline,
        start_aws(host, step) as aws,
    ):
        endpoint = aws.endpoint
        client("secretsmanager", endpoint).create_secret(
            Name="load", SecretString=json.dumps(SECRET)
        )
        sqs = client("sqs", endpoint)
        queue = sqs.create_queue(QueueName="quarantine")["QueueUrl"]
        replay_queue = sqs.create_queue(QueueName="replay")["QueueUrl"]
        environment = local_environment(
            endpoint,
            SECRET_ID="load",
            HYPERLINE_URL=hyperline.url,
            INGESTION_VERSION="v1",
            QUARANTINE_QUEUE_URL=queue,
            REPLAY_QUEUE_URL=replay_queue,
            STACK_NAME="load",
            TIME_BUDGET_SECONDS="3",
            PARK_AFTER_SECONDS="900",
            BACKOFF_SECONDS="60",
        )
        with start_workers(environment) as pool:
            traffic = Traffic(pool, hyperline)
            run(traffic)
            while pool.submit(replay, replay_queue).result():
                pass
        messages = map(json.loads, receive_all(sqs, queue))
        quarantined = {event["messageId"] for m in messages for event in m["events"]}
        passed = report(traffic, quarantined)
        with start_workers(environment | outage.ENVIRONMENT) as pool:
            passed &= outage.show(pool, hyperline, replay_queue)
    print(__doc__.partition("\n\n")[2].rpartition("\n\n")[2])
    sys.exit(0 if passed else "Events were lost or changed, see above.")


if __name__ == "__main__":
    main()
