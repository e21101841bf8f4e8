"""The line that the Receiver logs about the event."""

import time
import uuid

import boto3
import pytest

from segment_to_hyperline.doctor.send.log import Log, describe_line
from segment_to_hyperline.doctor.send.steps import Step
from tests.clock import Clock
from tests.fake_aws import FakeAws, Fault
from tests.segment_to_hyperline.sending.gateway import (
    LogGroup,
    write_line,
)

ID = "doctor-5f0c8f5e-0d51-4d5b-b1a3-7d1f6f1f8a31"
REGION = "us-east-1"
QUERY = "look again with the saved query 'What became of an event'"


@pytest.fixture
def group(aws: FakeAws, present: Clock) -> LogGroup:
    """A log group with lines of other events."""
    assert aws
    assert present
    group = LogGroup(f"receiver-{uuid.uuid4()}")
    group.write(write_line("other"), write_line(f"{ID[:-1]}0"))
    return group


def follow(group: LogGroup, pauses: tuple[float, ...] = (1, 2)) -> Step:
    """Return what is found about the event, which was sent now."""
    log = Log(group.name, REGION, time.sleep)
    return log.follow(ID, time.time(), pauses)


def test_the_line_is_found(group: LogGroup) -> None:
    """With the outcome of this event."""
    group.write(write_line(ID, "parked"))

    assert follow(group) == (
        "ok",
        "log",
        "the line of the event: status 200 parked, 1 post to Hyperline",
        "",
    )


def test_the_line_is_waited_for(group: LogGroup, clock: Clock) -> None:
    """It is logged some seconds after the response."""
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            group.write(write_line(ID))

    step = Log(group.name, REGION, sleep).follow(ID, time.time(), (1, 2, 3))

    assert step.result == "ok"
    assert waited == [0, 1, 2]
    assert not clock.pauses


def test_a_line_is_found_if_the_clock_of_this_machine_is_fast(
    group: LogGroup,
) -> None:
    """By less than a minute."""
    group.write(write_line(ID))

    log = Log(group.name, REGION, time.sleep)

    assert log.follow(ID, time.time() + 50, ()).result == "ok"


def test_there_is_no_line(group: LogGroup, clock: Clock) -> None:
    """That is an answer, which says where to look."""
    assert follow(group) == (
        "unknown",
        "log",
        f"there is no line with {ID} in {group.name} yet",
        QUERY,
    )
    assert clock.pauses == [0, 1, 2]


def test_a_line_from_before_is_ignored(group: LogGroup, clock: Clock) -> None:
    """Only lines since the event was sent are read."""
    group.write(write_line(ID))
    clock.freeze(120)

    assert follow(group).result == "unknown"


def test_the_permission_is_missing(group: LogGroup, aws: FakeAws) -> None:
    """Its name is shown."""
    aws.fail(
        "FilterLogEvents",
        Fault("400 Bad Request", b'{"__type":"AccessDeniedException"}'),
    )

    step = follow(group)

    assert step.result == "unknown"
    assert step.remedy == (
        "the AWS credentials lack the permission logs:FilterLogEvents for the log group"
        f" {group.name}"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"events":3}',
        b'{"events":[3]}',
        b'{"events":[{"message":null}]}',
    ],
)
def test_a_response_of_a_proxy(group: LogGroup, aws: FakeAws, body: bytes) -> None:
    """It can have the status of a success."""
    aws.fail("FilterLogEvents", Fault("200 OK", body))

    step = follow(group)

    assert step.result == "unknown"
    assert step.evidence == f"the log group {group.name} can't be read"
    assert step.remedy.startswith("the response isn't AWS's")


def test_the_log_group_does_not_exist(aws: FakeAws, present: Clock) -> None:
    """The stack may be another one."""
    assert aws
    assert present
    step = Log("none", REGION, time.sleep).follow(ID, time.time(), ())

    assert step.evidence == "the log group none can't be read"
    assert step.remedy == "it doesn't exist: check --stack and --region"


def test_an_invalid_region() -> None:
    """No request is sent."""
    step = Log("none", "no region", time.sleep).follow(ID, 0, ())

    assert step.result == "unknown"
    assert "region is invalid" in step.remedy


@pytest.mark.parametrize(
    "line", ["no JSON", "[" * 100_000, "3", '{"status":200}', '{"events":{}}']
)
def test_another_line_with_the_id(line: str) -> None:
    """It says nothing about the event."""
    assert describe_line(line, ID).result == "unknown"


def test_a_line_whose_events_are_others() -> None:
    """An outcome of another event is not shown."""
    groups = '[3, {"outcome": "delivered", "ids": "a b"}, {"outcome": 3, "ids": 4}]'
    step = describe_line(f'{{"status": 200, "events": {groups}}}', ID)

    assert step.evidence == "the line of the event: status 200 without an outcome"


def test_the_code_is_shown() -> None:
    """And how long it took."""
    groups = f'[{{"outcome": "pending", "code": "late", "ids": "a {ID}"}}]'
    line = f'{{"status": 503, "duration_ms": 7, "events": {groups}}}'

    assert describe_line(line, ID).evidence == (
        "the line of the event: status 503 pending, late, 7 ms"
    )


def test_the_log_is_read_in_the_region_of_the_stack(
    group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default in that of the environment."""
    assert boto3.client("logs").meta.region_name == REGION
    group.write(write_line(ID))

    assert Log(group.name, None, time.sleep).follow(ID, time.time(), ()).result == "ok"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    elsewhere = Log(group.name, None, time.sleep).follow(ID, time.time(), ())
    assert "doesn't exist" in elsewhere.remedy
