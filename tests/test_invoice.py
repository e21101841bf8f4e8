"""A property test: after any sequence of faults, the invoice is correct.

A simulated Segment sends events, alone and in arrays that are grouped differently at
each attempt. Meanwhile Hyperline and AWS fail, the functions crash at any line, SQS
delivers parked events to the Replayer, and an operator redrives Quarantine. At the end,
Hyperline must have stored exactly the bytes that it would have stored without a fault.
"""

import json
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

import receiver
import replayer
from local_stack.fake_api import Ending, FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.invocations import Context
from local_stack.segment_requests import (
    BEARER_TOKEN,
    Webhook,
    array,
    extensible,
    sign,
    single,
    to_api_gateway,
    write,
)
from segment_to_hyperline.attributes import Attributes, write_time
from segment_to_hyperline.hyperline.billable_event import Key
from segment_to_hyperline.hyperline.host import find_host
from segment_to_hyperline.mapping.apply import apply_rules
from tests.clock import Clock
from tests.conftest import Log, Queue, Secret
from tests.crash import Crash, crash_at
from tests.fake_aws import FakeAws, Fault
from tests.samples import read_rules, sqs_record, track

HOUR = 3600
# Segment doesn't retry after these statuses, and for no longer than 4 hours.
# https://www.twilio.com/docs/segment/connections/destinations#retries
FINAL = {200, 400, 401, 422}
RETRY_WINDOW = 4 * HOUR
PARK_AFTER = HOUR / 4
# Time budgets as in template.yaml, and a delay that exceeds both, in seconds.
RECEIVER_BUDGET, REPLAYER_BUDGET, SLOW = "3", "60", 70.0

COUNTS = ("delivered", "filtered", "quarantined", "parked", "pending")
KINDS = [
    *["good"] * 4,
    *("filtered", "unmappable", "unknown customer", "malformed", "unprocessable"),
    *("order", "empty order", "partly rejected order"),
]
UNBILLABLE = {
    *("unmappable", "unknown customer", "malformed", "partly rejected order"),
    "unprocessable",
}
RULES = read_rules(
    """
    event = "Order Completed"
    each = "properties.products"
    customer_id = "item.customer || userId"
    record = { total = "multiply(item.price, item.quantity)" }
    """,
    'record = { "*" = "properties" }',
)


def order(*customers: str | None) -> dict[str, Any]:
    """Return the changes that make an event an order, with a product per customer."""
    products = [
        {"price": 19.99, "quantity": number, "customer": customer}
        for number, customer in enumerate(customers)
    ]
    return {"event": "Order Completed", "properties": {"products": products}}


CHANGES: dict[str, dict[str, Any]] = {
    "good": {},
    "filtered": {"type": "identify"},
    "unmappable": {"timestamp": "yesterday"},
    "unknown customer": {"userId": "unknown"},
    "malformed": {"userId": "malformed"},
    "unprocessable": {"userId": "unprocessable"},
    "order": order(None, "reseller", None),
    "empty order": order(),
    "partly rejected order": order("reseller", "unknown", None),
}

# A complete response with a status 2xx is not a fault if it can be Hyperline's: the
# function has to rely on it.
HYPERLINE_FAULTS = (
    st.builds(
        FakeResponse,
        status=st.sampled_from(
            [301, 400, 401, 402, 403, 404, 408, 409, 413, 429, 500, 503]
        ),
        body=st.sampled_from(
            [b"", b"{}", b"not JSON", b'{"message":"no"}', b"x" * 999]
        ),
        delay=st.sampled_from([0.0] * 9 + [SLOW]),
        ending=st.sampled_from([Ending.COMPLETE] * 9 + list(Ending)),
        stores=st.booleans(),
    )
    | st.builds(
        FakeResponse,
        status=st.sampled_from([200, 201, 202]),
        ending=st.sampled_from([e for e in Ending if e is not Ending.COMPLETE]),
        stores=st.booleans(),
    )
    | st.builds(
        FakeResponse,
        status=st.sampled_from([200, 201, 202]),
        body=st.sampled_from([b"<html>", b"null", b"[]", b'{"error":"maintenance"}']),
        stores=st.booleans(),
    )
)
QUICK_FAULTS = st.builds(
    FakeResponse,
    status=st.sampled_from([301, 400, 401, 408, 429, 500, 503]),
    ending=st.sampled_from(
        [Ending.COMPLETE, Ending.TRUNCATED, Ending.CLOSED, Ending.RESET]
    ),
    stores=st.booleans(),
)
AWS_FAULTS = st.builds(
    Fault,
    status=st.sampled_from(["400 Bad Request", "500 Oops", "200 OK"]),
    delay=st.sampled_from([0.0] * 9 + [SLOW]),
)


@dataclass
class SegmentEvent:
    """An event, and when Segment received it, as a Unix timestamp."""

    kind: str
    received_at: float
    text: str


def message_of(sent: SegmentEvent) -> str:
    """Return the body of a message with this event."""
    return f'{{"reason": "parked", "events": [{sent.text}]}}'


def record_of(message: Any, days: float) -> dict[str, Any]:
    """Return *message* as Lambda passes it, as if it were *days* older."""
    values = message.get("MessageAttributes", {})
    known = Attributes.read(lambda name: values.get(name, {}).get("StringValue", ""))
    earlier = (
        (datetime.fromisoformat(moment) - timedelta(days=days)).isoformat()
        if moment
        else ""
        for moment in (known.stored_at, known.isolated_at)
    )
    stored_at, isolated_at = earlier
    attributes = Attributes(stored_at, known.environment, isolated_at)
    return sqs_record(message["Body"], attributes=attributes)


class Invoice(RuleBasedStateMachine):
    """Segment, an operator, and faults; the function is the real one.

    *outbox* has the events that Segment still sends.
    """

    def __init__(
        self,
        aws: FakeAws,
        hyperline: FakeHyperline,
        quarantine: Queue,
        replay_queue: Queue,
        log: Log,
        clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        super().__init__()
        self.aws, self.hyperline = aws, hyperline
        self.quarantine, self.replay_queue = quarantine, replay_queue
        self.log, self.clock = log, clock
        self.monkeypatch = monkeypatch
        self.events: list[SegmentEvent] = []
        self.outbox: list[SegmentEvent] = []
        hyperline.store.clear()
        hyperline.writes.clear()
        hyperline.names_stored = True
        quarantine.bodies()
        replay_queue.bodies()
        self.forget()

    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))
    def receive(self, kinds: list[str]) -> None:
        """Segment receives events from its sources."""
        for kind in kinds:
            received_at = time.time()
            event = track(
                messageId=f"m-{len(self.events)}",
                receivedAt=write_time(received_at),
                **CHANGES[kind],
            )
            sent = SegmentEvent(kind, received_at, write(event))
            self.events.append(sent)
            self.outbox.append(sent)

    @rule(
        numbers=st.lists(st.integers(0, 1_000), min_size=1, max_size=8),
        shape=st.sampled_from([array, extensible]),
        faults=st.lists(HYPERLINE_FAULTS, max_size=5),
        secret_faults=st.lists(AWS_FAULTS, max_size=2),
        queue_faults=st.just([]) | st.lists(AWS_FAULTS, min_size=3, max_size=3),
        crash=st.none() | st.integers(1, 600),
    )
    def send_some(
        self,
        numbers: list[int],
        shape: Any,
        faults: list[FakeResponse],
        secret_faults: list[Fault],
        queue_faults: list[Fault],
        crash: int | None,
    ) -> None:
        """Segment sends some events in any grouping, and anything can fail."""
        if not self.outbox:
            return
        group = [self.outbox[number % len(self.outbox)] for number in numbers]
        self.hyperline.respond(*faults)
        self.aws.fail("GetSecretValue", *secret_faults)
        self.aws.fail("SendMessageBatch", *queue_faults)
        self.send_request(group, shape, crash)

    def send_request(
        self, group: list[SegmentEvent], shape: Any = array, crash: int | None = None
    ) -> None:
        """Send *group*, and remove it from the outbox if Segment wouldn't retry."""
        texts = [sent.text for sent in group]
        webhook = single(texts[0]) if len(texts) == 1 else shape(texts)
        self.monkeypatch.setenv("TIME_BUDGET_SECONDS", RECEIVER_BUDGET)
        self.log()
        try:
            with crash_at(crash):
                response = receiver.lambda_handler(to_api_gateway(webhook), Context())
        except Crash:
            return  # API Gateway returns 500, and Segment retries
        finally:
            self.hyperline.scripted.clear()
            self.aws.faults.clear()
        if self.check_counts(response, len(group)) in FINAL:
            self.outbox = [sent for sent in self.outbox if sent not in group]

    def check_counts(self, response: dict[str, Any], events: int) -> int:
        """Assert that response, log and metrics count each event; return the status."""
        body = json.loads(response["body"])
        (line,) = self.log()
        counts = {name: body[name] for name in COUNTS}
        assert {name: line.get(name.title(), [0]) for name in COUNTS} == {
            name: [number] for name, number in counts.items()
        }
        assert "Unaccounted" not in line
        is_rejected = "SecretErrors" in line
        assert sum(counts.values()) == (0 if is_rejected else events)
        assert response["statusCode"] == 503 or not is_rejected
        return int(response["statusCode"])

    @rule(names_stored=st.booleans())
    def change_hyperline(self, *, names_stored: bool) -> None:
        """The response to a batch names the events that were stored before, or not."""
        self.hyperline.names_stored = names_stored

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def forge(self, data: st.DataObject) -> None:
        """A third party sends its own events, signed with what it has seen."""
        seen = data.draw(st.sampled_from(self.events)).text
        forged = write(track(messageId="forged"))
        for webhook in (
            Webhook(forged, {"X-Signature": sign(forged, "guessed")}),
            Webhook(f"[{seen},{forged}]", {"X-Signature": sign(seen)}),
            single(seen)._replace(body=forged),
        ):
            response = receiver.lambda_handler(to_api_gateway(webhook), Context())
            assert response["statusCode"] == 401

    @rule(hours=st.floats(0.1, 3), faults=st.lists(QUICK_FAULTS, max_size=3))
    def wait(self, hours: float, faults: list[FakeResponse]) -> None:
        """Time passes; Segment retries an event a last time before it drops it.

        Hyperline can fail at that time, and the queue can't: no function could save an
        event if the queue were unavailable for the whole last hour.
        """
        later = time.time() + hours * HOUR
        for sent in list(self.outbox):
            last = sent.received_at + RETRY_WINDOW - 60
            if last < later:
                self.clock.wait(max(0, last - time.time()))
                self.hyperline.respond(*faults)
                self.send_last([sent])
        self.clock.wait(max(0, later - time.time()))
        self.forget()

    def forget(self) -> None:
        """Discard the cached secret and the circuit breaker, as after a long time."""
        self.monkeypatch.setattr("segment_to_hyperline.secret_cache._copies", {})
        find_host.cache_clear()

    def send_last(self, group: list[SegmentEvent]) -> None:
        """Send *group*; assert that Segment needs no further retry."""
        self.forget()
        self.send_request(group)
        assert not [sent for sent in group if sent in self.outbox]

    @rule(
        faults=st.lists(HYPERLINE_FAULTS, max_size=3),
        secret_faults=st.lists(AWS_FAULTS, max_size=2),
        queue_faults=st.just([]) | st.lists(AWS_FAULTS, min_size=1, max_size=4),
        crash=st.none() | st.integers(1, 600),
    )
    def replay(
        self,
        faults: list[FakeResponse],
        secret_faults: list[Fault],
        queue_faults: list[Fault],
        crash: int | None,
    ) -> None:
        """SQS delivers the messages to the Replayer, and anything can fail."""
        self.hyperline.respond(*faults)
        self.aws.fail("GetSecretValue", *secret_faults)
        self.aws.fail("SendMessageBatch", *queue_faults)
        self.deliver_messages(crash)

    @rule()
    def redrive(self) -> None:
        """The operator moves all messages of Quarantine to Replay."""
        for message in self.quarantine.take():
            self.put_back(message)

    def put_back(self, message: Any) -> None:
        """Send *message* to Replay, with the attributes that it had."""
        attributes = message.get("MessageAttributes", {})
        self.replay_queue.put(message["Body"], attributes)

    def deliver_messages(self, crash: int | None = None, days: float = 0) -> None:
        """Deliver all messages of Replay; those that are not finished stay in it.

        They are as old as if they had been stored so many *days* earlier.
        """
        self.monkeypatch.setenv("TIME_BUDGET_SECONDS", REPLAYER_BUDGET)
        messages = self.replay_queue.take()
        unfinished = set(range(len(messages)))  # after a crash
        records = [
            record_of(message, days) | {"messageId": str(number)}
            for number, message in enumerate(messages)
        ]
        try:
            with crash_at(crash):
                response = replayer.lambda_handler({"Records": records}, Context())
            failures = response["batchItemFailures"]
            unfinished = {int(failure["itemIdentifier"]) for failure in failures}
        except Crash:
            pass
        finally:
            self.hyperline.scripted.clear()
            self.aws.faults.clear()
        for number in unfinished:
            self.put_back(messages[number])

    def teardown(self) -> None:
        """Assert that after some attempts without faults the invoice is correct."""
        self.receive(["good", "good"])
        self.clock.wait(PARK_AFTER)  # what still fails is parked
        while self.outbox:
            self.send_last(self.outbox[:7])
        self.redrive()
        for _ in range(9):
            messages = self.replay_queue.take()
            if not messages:
                break
            # Beside an event that Hyperline accepts, others can be isolated.
            for message in [*messages, {"Body": message_of(self.events[-1])}]:
                self.put_back(message)
            self.deliver_messages(days=3)
        assert self.replay_queue.bodies() == []

        assert self.hyperline.store == self.expected_store()
        assert all(len(written) == 1 for written in self.hyperline.writes.values())
        messages = self.quarantine.messages()
        assert all(message["reason"] for message in messages)
        texts = {write(event) for m in messages for event in m["events"]}
        unbillable = {s.text for s in self.events if s.kind in UNBILLABLE}
        assert texts == unbillable

    def expected_store(self) -> dict[Key, bytes]:
        """Return what Hyperline would have stored without any fault."""
        kinds = {"good", "order", "partly rejected order"}
        good = [sent for sent in self.events if sent.kind in kinds]
        billed = [apply_rules(RULES, json.loads(sent.text)) for sent in good]
        return {
            event.key: event.json
            for events in billed
            for event in events
            if b'"customer_id":"unknown"' not in event.json
        }


def test_the_invoice_is_correct_after_any_faults(
    aws: FakeAws,
    hyperline: FakeHyperline,
    quarantine: Queue,
    replay_queue: Queue,
    stale_secret: Secret,
    log: Log,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hyperline stores each billable event once and unchanged, and nothing else."""
    stale_secret.put(segment_bearer_token=BEARER_TOKEN)
    hyperline.unknown_customers.add("unknown")
    hyperline.malformed_customers.add("malformed")
    hyperline.unprocessable["unprocessable"] = FakeResponse(500)
    # The default mapping has no rule with `each`.
    monkeypatch.setattr("receiver.RULES", RULES)
    monkeypatch.setattr("replayer.RULES", RULES)

    class Machine(Invoice):
        """The same, created without arguments."""

        def __init__(self) -> None:
            super().__init__(
                aws, hyperline, quarantine, replay_queue, log, clock, monkeypatch
            )

    run_state_machine_as_test(Machine)
