"""Accept the queue Replay, and no other: from another one, nothing is delivered."""

import re
from typing import NamedTuple

from segment_to_hyperline.archive.files import InputError

_ARN = re.compile(r"arn:[a-z-]+:sqs:([a-z0-9-]+):(\d{12}):([A-Za-z0-9_-]{1,80})")
# https://docs.aws.amazon.com/general/latest/gr/sqs-service.html
_URL = re.compile(r"https?://([^/?#@]+)/(\d{12})/([A-Za-z0-9_-]{1,80})")
_REGION = "([a-z]+(?:-[a-z]+)+-[0-9]+)"
_HOST = re.compile(rf"(?:.*\.)?sqs(?:-fips)?\.{_REGION}\..*|{_REGION}\.queue\..*")
# CloudFormation names a queue after the stack and its name in the template.
_NAME = re.compile(r"(?:.*-)?(Replay|Quarantine)(?:-[A-Za-z0-9]+)?")
_REPLAY, _QUARANTINE = "Replay", "Quarantine"
_OTHERWISE = "use --stack, or the stack's output ReplayArn"


class QueueAddress(NamedTuple):
    """A queue of SQS."""

    name: str
    account: str
    """The id of its AWS account."""
    region: str
    """Its AWS region, or nothing if it isn't known."""

    def create_url(self, endpoint: str) -> str:
        """Return its URL at the *endpoint* of SQS in its region."""
        return f"{endpoint.removesuffix('/')}/{self.account}/{self.name}"

    def is_same(self, other: "QueueAddress") -> bool:
        """Return whether both are the same queue."""
        is_same_region = self.region == other.region or not (
            self.region and other.region
        )
        return self[:2] == other[:2] and is_same_region


def parse_queue(text: str) -> QueueAddress:
    """Return the queue with this URL or ARN; raises `InputError`."""
    if arn := _ARN.fullmatch(text):
        region, account, name = arn.groups()
        return QueueAddress(name, account, region)
    if url := _URL.fullmatch(text):
        host, account, name = url.groups()
        found = _HOST.fullmatch(host)
        return QueueAddress(name, account, (found and (found[1] or found[2])) or "")
    raise InputError(
        f"'{text}' is neither the URL nor the ARN of a queue: {_OTHERWISE}"
    )


def find_replay(
    text: str, replay_arn: str = "", quarantine_arn: str = ""
) -> QueueAddress:
    """Return the queue Replay with this URL or ARN.

    *replay_arn* and *quarantine_arn* are those of the stack, if it is known. Otherwise,
    the queue is recognized by its name. Raises `InputError` for any other queue.
    """
    queue = parse_queue(text)
    remedy = f"use {replay_arn}" if replay_arn else _OTHERWISE
    kind = _find_kind(queue, replay_arn, quarantine_arn)
    if kind == _QUARANTINE:
        raise InputError(
            f"'{queue.name}' is the queue Quarantine, from which nothing is delivered:"
            f" {remedy}"
        )
    if kind != _REPLAY:
        raise InputError(f"'{queue.name}' isn't the stack's queue Replay: {remedy}")
    return queue


def _find_kind(queue: QueueAddress, replay_arn: str, quarantine_arn: str) -> str:
    """Return Replay, Quarantine, or nothing for another queue."""
    if not replay_arn:
        name = _NAME.fullmatch(queue.name)
        return name[1] if name else ""
    arns = {_REPLAY: replay_arn, _QUARANTINE: quarantine_arn}
    kinds = (kind for kind, arn in arns.items() if queue.is_same(parse_queue(arn)))
    return next(kinds, "")
