"""Find the line that the Receiver logs about the event.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from botocore.parsers import ResponseParserError

from segment_to_hyperline.archive.aws_access import (
    AWS_ERRORS,
    create_client,
    explain_failure,
    find_code,
)
from segment_to_hyperline.doctor.findings import Result
from segment_to_hyperline.doctor.send.steps import Step
from segment_to_hyperline.text import format_count

_NAME = "log"
# The seconds before each look but the first: a line is found after some seconds.
PAUSES = (1, 2, 3, 4, 5, 5, 5, 5)
# What reading a response raises that isn't AWS's, also with the status 200.
_UNREADABLE = (ResponseParserError, KeyError, TypeError, ValueError, AttributeError)
_FOREIGN = (
    "the response isn't AWS's, but for example a proxy's: check HTTPS_PROXY and"
    " NO_PROXY, and sign in to the network"
)
# The clock of this machine can differ from Lambda's.
_CLOCK_SKEW_MILLISECONDS = 60_000


class Log:
    """The log group *name* of the Receiver in a *region*.

    *sleep* waits for so many seconds.
    """

    def __init__(
        self, name: str, region: str | None, sleep: Callable[[float], None]
    ) -> None:
        self._name = name
        self._region = region
        self._sleep = sleep

    def follow(self, message_id: str, sent_at: float, pauses: Sequence[float]) -> Step:
        """Return the step that shows the line with *message_id*.

        The event was sent at *sent_at*, in seconds since 1970. After each of *pauses*
        it is looked for again.
        """
        start = round(sent_at * 1_000) - _CLOCK_SKEW_MILLISECONDS
        try:
            client = create_client("logs", self._region)
            for seconds in (0, *pauses):
                self._sleep(seconds)
                line = next(self._find(client, message_id, start), None)
                if line is not None:
                    return describe_line(line, message_id)
        except AWS_ERRORS as error:
            return self._explain(error)
        except _UNREADABLE:
            return self._report(_FOREIGN)
        return Step(
            Result.UNKNOWN,
            _NAME,
            f"there is no line with {message_id} in {self._name} yet",
            "look again with the saved query 'What became of an event'",
        )

    def _find(self, client: Any, message_id: str, start: int) -> Iterator[str]:
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=self._name,
            startTime=start,
            # In quotes, it is found as it is.
            filterPattern=f'"{message_id}"',
        )
        for page in pages:
            yield from (event["message"] for event in page["events"])

    def _explain(self, error: Exception) -> Step:
        if find_code(error) == "ResourceNotFoundException":
            problem = "it doesn't exist: check --stack and --region"
        else:
            permission = f"logs:FilterLogEvents for the log group {self._name}"
            problem = explain_failure(error, permission)
        return self._report(problem)

    def _report(self, problem: str) -> Step:
        return Step(
            Result.UNKNOWN,
            _NAME,
            f"the log group {self._name} can't be read",
            problem,
        )


def describe_line(text: str, message_id: str) -> Step:
    """Return the step that shows a line of the log."""
    line: Any = None
    with suppress(ValueError, RecursionError):
        line = json.loads(text)
    match line:
        case {"events": [*groups], "status": int(status)}:
            outcome = next(_list_outcomes(groups, message_id), "without an outcome")
            shown = [f"status {status} {outcome}", *_list_facts(line)]
            return Step(Result.OK, _NAME, f"the line of the event: {', '.join(shown)}")
        case _:
            return Step(
                Result.UNKNOWN,
                _NAME,
                "a line with the messageId, but not as the Receiver writes it",
                "check the version of the stack",
            )


def _list_outcomes(groups: list[Any], message_id: str) -> Iterator[str]:
    for group in groups:
        match group:
            case {"outcome": str(outcome), "ids": str(ids)}:
                if message_id in ids.split():
                    code = group.get("code")
                    yield f"{outcome}, {code}" if isinstance(code, str) else outcome


def _list_facts(line: dict[str, Any]) -> Iterator[str]:
    if isinstance(posts := line.get("posts"), int):
        yield f"{format_count(posts, 'post')} to Hyperline"
    if isinstance(duration := line.get("duration_ms"), int):
        yield f"{duration:,} ms"
