"""Run the functions in a pool of processes, as Lambda runs them in sandboxes."""

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import boto3

from local_stack.invocations import Context, create_sqs_event
from local_stack.segment_requests import Webhook, to_api_gateway

PROCESSES = 4
# How many messages an invocation of the Replayer gets here, ten per request to SQS.
_MAX_RECEIVES = 20


class Response(NamedTuple):
    """The Receiver's response to one request."""

    status: int
    counts: Mapping[str, int]
    """How many events had each outcome."""
    seconds: float
    """How long the response took."""


@contextmanager
def start_workers(environment: dict[str, str]) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes with this *environment*; stop them afterwards."""
    with ProcessPoolExecutor(
        PROCESSES,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_prepare,
        initargs=(environment,),
    ) as pool:
        yield pool


def handle(webhook: Webhook) -> Response:
    """Run the Receiver for one request, in a process of the pool."""
    import receiver  # noqa: PLC0415 - only once the environment is set

    began = time.perf_counter()
    response = receiver.lambda_handler(to_api_gateway(webhook), Context())
    body = json.loads(response["body"])
    counts = {name: value for name, value in body.items() if isinstance(value, int)}
    return Response(response["statusCode"], counts, time.perf_counter() - began)


def replay(queue_url: str) -> int:
    """Run the Replayer for messages of the queue; return how many were finished."""
    import replayer  # noqa: PLC0415 - only once the environment is set

    sqs = boto3.client("sqs")
    messages: list[Any] = []
    for _ in range(_MAX_RECEIVES):
        received = sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        if not received.get("Messages"):
            break
        messages += received["Messages"]
    if not messages:
        return 0
    response = replayer.lambda_handler(create_sqs_event(messages), Context())
    failed = {failure["itemIdentifier"] for failure in response["batchItemFailures"]}
    finished = [m for m in messages if m["MessageId"] not in failed]
    for message in finished:
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return len(finished)


def _prepare(environment: dict[str, str]) -> None:
    os.environ.update(environment)
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - the log of the function
    # Lambda imports them before the first request.
    import receiver  # noqa: F401, PLC0415
    import replayer  # noqa: F401, PLC0415
