"""An outage of Hyperline, for the application in the local AWS."""

import time
from collections import Counter
from collections.abc import Callable
from threading import Event
from typing import Any

from local_stack.fake_api import FakeResponse
from local_stack.segment_requests import array, write
from local_stack.stack import LocalStack

MINUTE = 60
DAY = 24 * 60 * MINUTE


def wait_until(condition: Callable[[], object], expected: str) -> None:
    """Wait until *condition* is true; fail if what is *expected* doesn't happen."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"never happened: {expected}"
        time.sleep(0.05)


class Outage:
    """Hyperline fails, and the deployed Replayer receives messages of Replay.

    The clock of the queues can be put forward. The functions have the real time.
    """

    def __init__(self, stack: LocalStack) -> None:
        self.stack, self.hyperline = stack, stack.hyperline
        self.now = 0

    def pass_time(self, seconds: int) -> None:
        """Let time pass for the queues, so that messages are received or expire."""
        self.now += seconds
        self.stack.aws.set_clock(self.now)

    def configure(self, **variables: str) -> dict[str, str]:
        """Change environment variables of the Replayer; return what they were."""
        client = self.stack.client("lambda")
        name = self.stack.resources["Replayer"]
        known = client.get_function_configuration(FunctionName=name)
        old: dict[str, str] = known["Environment"]["Variables"]
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": old | variables}
        )
        return {key: old[key] for key in variables}

    def receive(self, *, enabled: bool) -> None:
        """Let the Replayer receive messages, or not."""
        self.stack.client("lambda").update_event_source_mapping(
            UUID=self.stack.resources["ReplayerMessages"], Enabled=enabled
        )

    def park(self, *events: dict[str, Any]) -> dict[str, Any]:
        """Send old *events* in a request, and return the number of each outcome."""
        response = self.stack.send(array([write(event) for event in events]))
        assert response.status_code == 200
        counts: dict[str, Any] = response.json()
        return {name: counts[name] for name in ("parked", "quarantined")}

    def move(self, event: dict[str, Any]) -> None:
        """Send *event* to Replay in a message of its own."""
        self.stack.client("sqs").send_message(
            QueueUrl=self.stack.resources["Replay"],
            MessageBody=write({"reason": "", "events": [event]}),
        )

    def attempts(self, outcome: str) -> Counter[str]:
        """Return how often the Replayer logged this *outcome*, by messageId."""
        return Counter(
            message_id
            for line in self.stack.log_lines()
            if line["service"] == "replayer"
            for group in line["events"]
            if group["outcome"] == outcome
            for message_id in group["ids"].split()
        )

    def wait_for(self, outcome: str, event: dict[str, Any], times: int = 1) -> None:
        """Wait until *event* had this *outcome* so many *times*."""
        message_id = event["messageId"]
        wait_until(
            lambda: self.attempts(outcome)[message_id] >= times,
            f"{message_id} is {outcome}, {times} times",
        )

    def hold_responses(self) -> Event:
        """Let Hyperline store events, and not respond before the gate is set."""
        gate = Event()
        self.hyperline.requests.clear()
        self.hyperline.outage = FakeResponse(202, b"", stores=True, gate=gate)
        return gate

    def end(self, gate: Event) -> None:
        """Let Hyperline respond again, also to the requests that wait at the *gate*."""
        self.hyperline.outage = None
        gate.set()

    def wait_for_post(self, *events: dict[str, Any]) -> None:
        """Wait until one of *events* is posted, and the response is held."""
        ids = [event["messageId"].encode() for event in events]
        wait_until(
            lambda: any(i in r.body for r in self.hyperline.requests for i in ids),
            f"a post with one of {ids}",
        )

    def wait_until_idle(self, messages: int) -> None:
        """Stop the Replayer, and wait until all *messages* can be received."""
        self.receive(enabled=False)
        self.pass_time(MINUTE)  # the longest delay is 29 s here
        wait_until(
            lambda: (self.count("Visible"), self.count("NotVisible")) == (messages, 0),
            f"{messages} messages wait in Replay, and no invocation runs",
        )

    def count(self, state: str) -> int:
        """Return the number of messages in Replay that are Visible or NotVisible."""
        name = "ApproximateNumberOfMessages" + state.removeprefix("Visible")
        attributes = self.stack.client("sqs").get_queue_attributes(
            QueueUrl=self.stack.resources["Replay"], AttributeNames=[name]
        )["Attributes"]
        return int(attributes[name])
