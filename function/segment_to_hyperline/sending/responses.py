"""Read the response to a request: the outcomes of its events, and the reasons.

Pure: no network, no environment, no clock.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.text import cut, make_printable

_LABELS = tuple(dict.fromkeys(outcome.value.label for outcome in Outcome))
# The labels of the outcomes that `send` reports as failures: the event is not billed,
# and won't be without a person or another request.
_UNSUCCESSFUL = frozenset(o.value.label for o in Outcome if o.value.status != 200)
_MOST_CHARACTERS = 300


class Response(NamedTuple):
    """What the URL responded."""

    status: int
    body: bytes


class NoResponse(NamedTuple):
    """Why there is no response."""

    reason: str


class Summary(NamedTuple):
    """What a response says about all events of its request."""

    line: str
    """The status and the number of events by outcome, or why there are none."""
    reasons: tuple[str, ...]
    """Why events have their outcome, each with the messageId of its event."""
    is_success: bool
    """Whether every event is billed, stored to be billed later, or not selected."""


def summarize(response: Response | NoResponse) -> Summary:
    """Return what *response* says."""
    if isinstance(response, NoResponse):
        return Summary(f"no response: {response.reason}", (), is_success=False)
    status, content = response.status, _decode(response.body)
    match content:
        case {"delivered": int(), "errors": [*errors]}:
            counts = {n: content[n] for n in _LABELS if content.get(n)}
            shown = ", ".join(f"{number} {name}" for name, number in counts.items())
            return Summary(
                f"{status}  {shown or 'rejected'}",
                tuple(_describe_errors(errors)),
                is_success=status == 200 and not counts.keys() & _UNSUCCESSFUL,
            )
        case _:
            text = _show(response.body.decode(errors="replace"))
            line = f"{status}  not a response of this application: {text}"
            return Summary(line, (), is_success=False)


def _decode(body: bytes) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(body)
    return None


def _describe_errors(errors: list[Any]) -> Iterator[str]:
    for error in errors:
        match error:
            case {"message_id": message_id, "reason": str(reason)}:
                name = f"{message_id}: " if isinstance(message_id, str) else ""
                yield _show(f"{name}{reason}")


def _show(text: str) -> str:
    return cut(make_printable(text), _MOST_CHARACTERS)
