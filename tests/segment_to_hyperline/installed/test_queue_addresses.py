"""Which queues events can be sent to."""

import pytest

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.installed.queue_addresses import (
    QueueAddress,
    find_replay,
    parse_queue,
)

ACCOUNT = "123456789012"
REPLAY = "billing-Replay-1a2B3c4D5e6F"
QUARANTINE = "billing-Quarantine-1a2B3c4D5e6F"
ADDRESS = QueueAddress(REPLAY, ACCOUNT, "eu-west-1")


def arn(name: str, region: str = "eu-west-1") -> str:
    """Return the ARN of a queue."""
    return f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"


def url(name: str, host: str = "https://sqs.eu-west-1.amazonaws.com") -> str:
    """Return the URL of a queue."""
    return f"{host}/{ACCOUNT}/{name}"


def reject(text: str, *arns: str) -> str:
    """Return why a queue is rejected."""
    with pytest.raises(InputError) as caught:
        find_replay(text, *arns)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "region"),
    [
        (arn(REPLAY), "eu-west-1"),
        (arn(REPLAY).replace("aws:", "aws-us-gov:", 1), "eu-west-1"),
        (url(REPLAY), "eu-west-1"),
        (url(REPLAY, "https://sqs.cn-north-1.amazonaws.com.cn"), "cn-north-1"),
        (url(REPLAY, "https://sqs-fips.us-gov-west-1.amazonaws.com"), "us-gov-west-1"),
        (url(REPLAY, "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com"), "eu-west-1"),
        (url(REPLAY, "https://eu-west-1.queue.amazonaws.com"), "eu-west-1"),
        (url(REPLAY, "https://queue.amazonaws.com"), ""),
        (url(REPLAY, "http://127.0.0.1:4566"), ""),
    ],
)
def test_a_queue_has_a_url_and_an_arn(text: str, region: str) -> None:
    """Outputs of stacks are ARNs, and the console shows both."""
    assert parse_queue(text) == QueueAddress(REPLAY, ACCOUNT, region)


@pytest.mark.parametrize(
    "text", ["", REPLAY, "x", f"{arn(REPLAY)}/", f"https://sqs/{REPLAY}", url("a b")]
)
def test_what_is_no_queue_is_rejected(text: str) -> None:
    """With where to find one."""
    assert reject(text) == (
        f"'{text}' is neither the URL nor the ARN of a queue: use --stack, or the"
        " stack's output ReplayArn"
    )


def test_a_url_is_created_for_an_arn() -> None:
    """SQS expects URLs."""
    assert ADDRESS.create_url("https://sqs.eu-west-1.amazonaws.com") == url(REPLAY)


@pytest.mark.parametrize(
    "text", [arn(REPLAY), url(REPLAY), url(REPLAY, "https://queue.amazonaws.com")]
)
def test_the_queue_of_the_stack_is_accepted(text: str) -> None:
    """As URL or ARN; a URL of an old form has no region."""
    assert find_replay(text, arn(REPLAY), arn(QUARANTINE))[:2] == ADDRESS[:2]


@pytest.mark.parametrize(
    "text",
    [
        arn(f"{REPLAY}7"),
        arn("other-Replay-1a2B3c4D5e6F"),
        arn(REPLAY, "eu-west-3"),
        arn(REPLAY).replace(ACCOUNT, "210987654321"),
    ],
)
def test_the_queue_of_another_stack_is_rejected(text: str) -> None:
    """Also one that a change of the template has replaced."""
    message = reject(text, arn(REPLAY), arn(QUARANTINE))

    assert message.endswith(f"isn't the stack's queue Replay: use {arn(REPLAY)}")


def test_quarantine_is_rejected() -> None:
    """Nothing is delivered from there, although SQS accepts the messages."""
    reason = f"'{QUARANTINE}' is the queue Quarantine, from which nothing is delivered"

    for text in (arn(QUARANTINE), url(QUARANTINE)):
        with_stack = reject(text, arn(REPLAY), arn(QUARANTINE))
        assert with_stack == f"{reason}: use {arn(REPLAY)}"
        assert reject(text) == (
            f"{reason}: use --stack, or the stack's output ReplayArn"
        )


@pytest.mark.parametrize(
    "name", [REPLAY, "Replay", "a-Quarantine-b-Replay-1", "a-Replay"]
)
def test_without_a_stack_the_name_counts(name: str) -> None:
    """CloudFormation names a queue after its stack and its name in the template."""
    assert find_replay(arn(name)).name == name


@pytest.mark.parametrize(
    "name", ["billing", "billing-replay-1", "Replays", "a-Replay-1-2"]
)
def test_without_a_stack_another_name_is_rejected(name: str) -> None:
    """Events in another queue are never billed."""
    assert "isn't the stack's queue Replay: use --stack" in reject(arn(name))
