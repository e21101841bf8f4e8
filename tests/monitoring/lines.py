"""Real lines: what the functions write in each situation, recorded once."""

import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

import receiver
import replayer
from local_stack.fake_api import FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.invocations import Context
from local_stack.segment_requests import Webhook, single, to_api_gateway, write
from segment_to_hyperline.attributes import write_time
from tests.conftest import Queue, Secret
from tests.crash import Crash, crash_at
from tests.samples import sqs_batch, track

# The value of the dimension `stack`, as tests/cloudformation.py reads it.
STACK = "${AWS::StackName}"
# A client that is not Segment's.
STRANGER = "Mozilla/5.0 zgrab/0.x"
_PARKED_AGE = 20 * 60
_HOUR = 3600
# For how many hours an event can be stored at an attempt to deliver it.
AGES = (0, 1, 2, 4, 8, 12, 24, 36, 48, 72, 96, 120, 168, 240, 264)


class Response(NamedTuple):
    """The status of a response, and the line that the Receiver wrote for it."""

    status: int
    line: str


class Lines(NamedTuple):
    """The Receiver's responses by situation, and the lines of the Replayer."""

    responses: Mapping[str, Response]
    replayed: str
    """All messages were delivered."""
    waiting: Mapping[int, str]
    """Hyperline is down; by the age of the oldest event in hours."""


@dataclass
class Place:
    """Where a function runs while a line is recorded."""

    hyperline: FakeHyperline
    secret: Secret

    def send(self, age: float = 0, webhook: Webhook | None = None) -> Response:
        """Send *webhook*, or an event that Segment received *age* seconds ago."""
        request = to_api_gateway(webhook or create_request(age))
        with redirect_stdout(io.StringIO()) as output:
            response = receiver.lambda_handler(request, Context())
        return Response(response["statusCode"], read_line(output))

    def replay(self, age: float = 0) -> str:
        """Replay an event that was first stored *age* seconds ago; return the line."""
        body = write({"reason": "-", "events": [track()]})
        batch = sqs_batch(body, stored_at=write_time(time.time() - age - 1))
        with redirect_stdout(io.StringIO()) as output:
            replayer.lambda_handler(batch, Context())
        return read_line(output)


def create_request(age: float = 0, **changes: Any) -> Webhook:
    """Return the request with an event that Segment received *age* seconds ago."""
    return single(write(track(receivedAt=write_time(time.time() - age), **changes)))


def read_line(output: io.StringIO) -> str:
    """Return the only line that was written."""
    (line,) = output.getvalue().splitlines()
    return line


def record_lines() -> Lines:
    """Invoke the functions once in each situation, with a fake AWS and Hyperline."""
    with open_place() as place:
        responses = {
            "delivered": place.send(),
            "filtered": place.send(webhook=create_request(type="identify")),
            "unauthorized": place.send(webhook=Webhook("{}", create_request().headers)),
            "stranger": place.send(webhook=Webhook("{}", {"User-Agent": STRANGER})),
            "malformed": place.send(webhook=single("[]")),
            "crashed": crash(place),
        }
        replayed = place.replay()
    return Lines(responses | record_outages(), replayed, record_waiting())


def record_outages() -> dict[str, Response]:
    """Return the responses while Hyperline or the secret fails."""
    responses = {}
    with open_place() as place:
        place.hyperline.unknown_customers.add("customer-42")
        responses["quarantined"] = place.send()
    for name, status in (("pending", 503), ("limited", 429)):
        with open_place() as place:
            place.hyperline.outage = FakeResponse(status)
            responses[name] = place.send()
            responses["parked"] = place.send(_PARKED_AGE)
    with open_place() as place:
        place.hyperline.key = "another"
        responses["key pending"] = place.send()
        responses["key parked"] = place.send(_PARKED_AGE)
    with open_place() as place:
        place.secret.delete()
        responses["no secret"] = place.send()
    with open_place() as place:
        place.secret.put(segment_shared_secret="a-newer-random-value")
        responses["previous secret"] = place.send()
    return responses


def record_waiting() -> Mapping[int, str]:
    """Return the Replayer's lines while Hyperline is down."""
    with open_place() as place:
        place.hyperline.outage = FakeResponse(503)
        return {hours: place.replay(hours * _HOUR) for hours in AGES}


def crash(place: Place) -> Response:
    """Return the response if the Receiver crashes with an event that it received."""
    for step in range(1, 100_000, 10):
        with redirect_stdout(io.StringIO()) as output:
            try:
                with crash_at(step):
                    receiver.lambda_handler(to_api_gateway(create_request()), Context())
            except Crash:
                if '"Unaccounted"' in output.getvalue():
                    return Response(500, read_line(output))
    raise AssertionError(f"no crash loses an event at {place.hyperline.url}")


@contextmanager
def open_place() -> Iterator[Place]:
    """Yield a place with a secret, queues and a Hyperline of its own."""
    with (
        FakeHyperline(rate_limit=1_000_000) as hyperline,
        pytest.MonkeyPatch.context() as patch,
    ):
        secret = Secret()
        patch.setenv("SECRET_ID", secret.name)
        patch.setenv("HYPERLINE_URL", hyperline.url)
        patch.setenv("QUARANTINE_QUEUE_URL", Queue().url)
        patch.setenv("REPLAY_QUEUE_URL", Queue().url)
        patch.setenv("STACK_NAME", STACK)
        patch.setenv("BACKOFF_SECONDS", "0.01")
        yield Place(hyperline, secret)
