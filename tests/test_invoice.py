"""Whatever goes wrong on the way, in the end the invoice is right.

A model of Segment sends events, alone and in arrays that are regrouped from one attempt
to the next, while Hyperline and AWS fail in any order and the function crashes at any
line; an operator replays the Quarantine queue. In the end Hyperline must hold, byte for
byte, what it would hold had nothing ever failed.
"""

import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

import app
import mapping
import replayer
from billable import Key
from conftest import Context, Log, Queue, Secret
from crash import Crash, crash_at
from fake_aws import FakeAws, Fault
from fake_hyperline import Answer, FakeHyperline, Manner
from mapping_file import load
from samples import sqs_batch, track
from segment_webhook import (
    BEARER_TOKEN,
    Webhook,
    array,
    extensible,
    sign,
    single,
    to_api_gateway,
    write,
)

HOUR = 3600
# Segment forgets an event after these answers, and after 4 hours.
# https://www.twilio.com/docs/segment/connections/destinations#retries
FINAL = {200, 400, 401, 422}
SEGMENT_GIVES_UP = 4 * HOUR
PARK_AFTER = 3 * HOUR
# Budgets in seconds: one that slow answers exceed, and one that nothing exceeds.
HASTE, LEISURE = "0.3", "30"
TRIES = (True, False, False)

COUNTS = ("delivered", "filtered", "quarantined", "pending")
KINDS = ["good"] * 4 + ["filtered", "unmappable", "refused", "poison"]
UNACCEPTABLE = {"unmappable", "refused", "poison"}
CHANGES: dict[str, dict[str, Any]] = {
    "good": {},
    "filtered": {"type": "identify"},
    "unmappable": {"timestamp": "yesterday"},
    "refused": {"userId": "refused"},
    "poison": {"userId": "poison"},
}

# A success is always true: nothing could be done about a Hyperline that lies.
HYPERLINE_FAULTS = st.builds(
    Answer,
    status=st.sampled_from([301, 400, 401, 403, 408, 413, 429, 500, 503]),
    body=st.sampled_from([b"", b"{}", b"rubbish", b'{"message":"no"}', b"x" * 999]),
    delay=st.sampled_from([0.0] * 9 + [0.4]),
    manner=st.sampled_from([Manner.WHOLE] * 9 + list(Manner)),
    stores=st.booleans(),
) | st.builds(
    Answer,
    status=st.sampled_from([200, 201, 202]),
    manner=st.sampled_from([m for m in Manner if m is not Manner.WHOLE]),
    stores=st.booleans(),
)
QUICK_FAULTS = st.builds(
    Answer,
    status=st.sampled_from([301, 400, 401, 408, 429, 500, 503]),
    manner=st.sampled_from([Manner.WHOLE, Manner.TORN, Manner.DROPPED, Manner.RESET]),
    stores=st.booleans(),
)
AWS_FAULTS = st.builds(
    Fault,
    status=st.sampled_from(["400 Bad Request", "500 Oops", "200 OK"]),
    delay=st.sampled_from([0.0] * 9 + [0.4]),
)


@dataclass
class Sent:
    """An event that Segment has, of a kind, since a time on the model's clock."""

    kind: str
    received_at: float
    text: str


class Invoice(RuleBasedStateMachine):
    """Segment, the operator and the faults, around the function as it is."""

    def __init__(
        self, aws: FakeAws, hyperline: FakeHyperline, quarantine: Queue, log: Log
    ) -> None:
        super().__init__()
        self.aws, self.hyperline = aws, hyperline
        self.quarantine, self.log = quarantine, log
        self.began, self.clock = time.time(), 0.0
        self.events: list[Sent] = []
        self.outbox: list[Sent] = []
        hyperline.store.clear()
        hyperline.writes.clear()
        quarantine.bodies()
        os.environ["TIME_BUDGET_SECONDS"] = HASTE

    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))
    def receive(self, kinds: list[str]) -> None:
        """Segment receives events, and will send them."""
        for kind in kinds:
            received = datetime.fromtimestamp(self.began + self.clock, UTC)
            event = track(
                messageId=f"m-{len(self.events)}",
                receivedAt=received.isoformat(),
                **CHANGES[kind],
            )
            sent = Sent(kind, self.clock, write(event))
            self.events.append(sent)
            self.outbox.append(sent)

    @precondition(lambda self: self.outbox)
    @rule(
        data=st.data(),
        shape=st.sampled_from([array, extensible]),
        faults=st.lists(HYPERLINE_FAULTS, max_size=5),
        secret_faults=st.lists(AWS_FAULTS, max_size=1),
        queue_faults=st.just([]) | st.lists(AWS_FAULTS, min_size=3, max_size=3),
        crash=st.none() | st.integers(1, 400),
    )
    def send(
        self,
        data: st.DataObject,
        shape: Any,
        faults: list[Answer],
        secret_faults: list[Fault],
        queue_faults: list[Fault],
        crash: int | None,
    ) -> None:
        """Segment sends some of what it has, in any grouping, and anything may fail."""
        some = st.lists(st.sampled_from(self.outbox), min_size=1, max_size=8)
        group = data.draw(some, label="group")
        self.hyperline.answers(*faults)
        self.aws.fail("GetSecretValue", *secret_faults)
        self.aws.fail("SendMessageBatch", *queue_faults)
        self.call(group, shape, crash)

    def call(
        self, group: list[Sent], shape: Any = array, crash: int | None = None
    ) -> None:
        """Make the call for *group*, and forget its events if Segment would."""
        texts = [sent.text for sent in group]
        webhook = single(texts[0]) if len(texts) == 1 else shape(texts)
        # An hour on the model's clock is an hour less until events are parked.
        os.environ["PARK_AFTER_SECONDS"] = str(PARK_AFTER - self.clock)
        self.log()
        try:
            with crash_at(crash):
                response = app.lambda_handler(to_api_gateway(webhook), Context())
        except Crash:
            return  # API Gateway answers 500, and Segment sends again
        finally:
            self.hyperline.script.clear()
            self.aws.faults.clear()
        if self.check_counts(response, len(group)) in FINAL:
            self.outbox = [sent for sent in self.outbox if sent not in group]

    def check_counts(self, response: dict[str, Any], events: int) -> int:
        """Answer, log line and metrics tell what became of each event of the call."""
        body = json.loads(response["body"])
        line, metric_set = self.log()
        counts = {name: body[name] for name in COUNTS}
        assert {name: line[name] for name in COUNTS} == counts
        assert {name: metric_set[name.title()] for name in COUNTS} == {
            name: [number] for name, number in counts.items()
        }
        unread = response["statusCode"] == 503 and not sum(counts.values())
        assert unread or sum(counts.values()) == events
        return int(response["statusCode"])

    @precondition(lambda self: self.outbox)
    @rule(data=st.data())
    def forge(self, data: st.DataObject) -> None:
        """Somebody sends an event of their own, behind one they have seen."""
        seen = data.draw(st.sampled_from(self.events)).text
        forged = write(track(messageId="forged"))
        for webhook in (
            Webhook(forged, {"X-Signature": sign(forged, "guessed")}),
            Webhook(f"[{seen},{forged}]", {"X-Signature": sign(seen)}),
            single(seen)._replace(body=forged),
        ):
            response = app.lambda_handler(to_api_gateway(webhook), Context())
            assert response["statusCode"] == 401

    @rule(hours=st.floats(0.1, 3), faults=st.lists(QUICK_FAULTS, max_size=3))
    def wait(self, hours: float, faults: list[Answer]) -> None:
        """Time passes. Before it gives up on an event, Segment tries a last time.

        Hyperline may fail then as ever. That the queue can't be written in the whole
        last hour, in which events are parked, is more than the function can mend.
        """
        later = self.clock + hours * HOUR
        for sent in list(self.outbox):
            self.clock = sent.received_at + SEGMENT_GIVES_UP - 60
            if self.clock < later:
                self.hyperline.answers(*faults)
                self.call_at_leisure([sent])
        self.clock = later

    def call_at_leisure(self, group: list[Sent]) -> None:
        """Make a call that has time enough; what became of its events is final."""
        os.environ["TIME_BUDGET_SECONDS"] = LEISURE
        self.call(group)
        os.environ["TIME_BUDGET_SECONDS"] = HASTE
        assert not [sent for sent in group if sent in self.outbox]

    @rule(
        faults=st.lists(HYPERLINE_FAULTS, max_size=3),
        crash=st.none() | st.integers(1, 200),
    )
    def redrive(self, faults: list[Answer], crash: int | None) -> None:
        """The operator moves Quarantine to Replay; what fails thrice comes back."""
        self.hyperline.answers(*faults)
        for body in self.quarantine.bodies():
            if not any(self.replay(body, crash if first else None) for first in TRIES):
                self.quarantine.put(body)
        self.hyperline.script.clear()

    def replay(self, body: str, crash: int | None = None) -> bool:
        """Let the Replayer have the message, and return whether it is done with it."""
        try:
            with crash_at(crash):
                response = replayer.lambda_handler(sqs_batch(body), Context())
        except Crash:
            return False  # SQS delivers the message again
        return not response["batchItemFailures"]

    def teardown(self) -> None:
        """In the end nothing fails any more, and then all is as if nothing ever had."""
        while self.outbox:
            self.call_at_leisure(self.outbox[:7])
        os.environ["TIME_BUDGET_SECONDS"] = LEISURE
        kept = [body for body in self.quarantine.bodies() if not self.replay(body)]

        assert self.hyperline.store == self.fault_free()
        assert all(len(bodies) == 1 for bodies in self.hyperline.writes.values())
        messages = [json.loads(body) for body in kept]
        assert all(message["reason"] for message in messages)
        texts = {write(event) for m in messages for event in m["events"]}
        assert {s.text for s in self.events if s.kind in UNACCEPTABLE} <= texts

    def fault_free(self) -> dict[Key, bytes]:
        """Return what Hyperline would hold had nothing ever failed."""
        rules = load(Path(mapping.__file__).with_name("mapping.toml"))
        good = [sent for sent in self.events if sent.kind == "good"]
        billed = [mapping.apply(rules, json.loads(sent.text)) for sent in good]
        return {event.key: event.json for event in billed if event}


@pytest.mark.filterwarnings("ignore:No application metrics")  # of a call that crashed
def test_in_the_end_the_invoice_is_right(
    aws: FakeAws,
    hyperline: FakeHyperline,
    quarantine: Queue,
    secret: Secret,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hyperline holds each acceptable event once and unchanged, and no other one."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    hyperline.refuses.add("refused")
    hyperline.poison.add("poison")
    for name in ("TIME_BUDGET_SECONDS", "PARK_AFTER_SECONDS"):
        monkeypatch.setenv(name, "")  # to be put back afterwards

    run_state_machine_as_test(lambda: Invoice(aws, hyperline, quarantine, log))
