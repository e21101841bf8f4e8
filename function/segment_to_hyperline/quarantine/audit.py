"""One line for each action in Quarantine, in a log group that is kept for ten years.

It is written before the action, so that there is none without a line. It has numbers
and hashes, and no personal data but the AWS identity of the person.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.attributes import write_time
from segment_to_hyperline.quarantine.aws import Aws
from segment_to_hyperline.quarantine.selection import Selection
from segment_to_hyperline.quarantine.waiting import Waiting, hash_texts

_MISSING = "the stack has no AuditLog: deploy this version of template.yaml first"


class Action(NamedTuple):
    """What a person is about to do."""

    name: str
    """`export`, `redrive` or `purge`."""
    selection: Selection
    before: Sequence[Waiting]
    """The selected events."""
    after: Sequence[str]
    """The events that are sent to Replay, which can have been edited."""
    reason: str = ""
    """Why, in the words of the person."""

    def describe(self) -> dict[str, Any]:
        """Return the fields of the line."""
        reason = {"reason": self.reason} if self.reason else {}
        return {
            "action": self.name,
            "messages": len({event.message.id for event in self.before}),
            "events": len(self.before),
            "selection": self.selection.hash(),
            "before": hash_texts(event.element.text for event in self.before),
            "after": hash_texts(self.after),
            **reason,
        }


def write_action(aws: Aws, log_group: str, action: Action, now: float) -> None:
    """Write the line of *action*; raises `InputError` if that isn't possible."""
    if not log_group:
        raise InputError(_MISSING)
    who = aws.call("sts", "GetCallerIdentity")["Arn"]
    line = {"at": write_time(now), "who": who, **action.describe()}
    milliseconds = round(now * 1_000)
    place = {
        "logGroupName": log_group,
        "logStreamName": f"{milliseconds}-{line['before'][:16]}-{action.name}",
    }
    aws.call("logs", "CreateLogStream", **place)
    event = {"timestamp": milliseconds, "message": json.dumps(line)}
    aws.call("logs", "PutLogEvents", **place, logEvents=[event])
