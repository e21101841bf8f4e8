"""Read captured Segment events in any of the usual formats, using little memory.

Events can be in messages of Quarantine and Replay, as the SQS console and the AWS CLI
show them, and in what Lambda passes to the functions, as in the folder events/.
"""

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

from segment_to_hyperline.archive.scanner import Damage, Value, scan
from segment_to_hyperline.aws.messages import parse_message
from segment_to_hyperline.elements import (
    Element,
    MalformedBody,
    TooDeep,
    decode_element,
)
from segment_to_hyperline.segment.authentication import read_body
from segment_to_hyperline.segment.events import parse_body
from segment_to_hyperline.text import format_count


class UnreadableLine(NamedTuple):
    """A line on which something can't be read."""

    line: int
    """Its number."""
    reason: str
    """What can't be read and why, with its place and size."""


class CapturedEvent(NamedTuple):
    """An event of a file."""

    line: int
    """The number of the line on which it begins."""
    event: Element
    """Its data and its text."""


type Captured = CapturedEvent | UnreadableLine


def read_events(stream: Any, line: int = 1, byte: int = 0) -> Iterator[Captured]:
    """Yield the events of NDJSON, JSON arrays, or a mix of them.

    What is damaged is yielded as unreadable, and reading continues after it. An array
    may contain `{"json": event}`, as Segment's Extensible Webhook sends it. The
    *stream* is as for `scan`.
    """
    for found in scan(stream, line, byte):
        for part in [found] if isinstance(found, Damage) else _unpack(found):
            checked = part if isinstance(part, Damage) else _check_unicode(part)
            if isinstance(checked, Damage):
                yield UnreadableLine(checked.line, _explain(checked))
            else:
                yield CapturedEvent(checked.line, checked.element)


def _explain(damage: Damage) -> str:
    size = f", {format_count(damage.size, 'byte')} skipped" if damage.size else ""
    return f"{damage.reason} (at byte {damage.byte:,}{size})"


def _check_unicode(value: Value) -> Value | Damage:
    """Return *value*, or damage if its bytes are invalid in the encoding of the file.

    The function rejects such a request, so the event is not read here either.
    """
    try:
        value.element.text.encode()
    except UnicodeEncodeError:
        return Damage(value.line, value.byte, value.size, "not valid Unicode")
    return value


def _unpack(value: Value) -> Iterator[Value | Damage]:
    """Yield the events in a message of a queue or a request, or else *value*."""
    match value.element.data:
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
        case {"requestContext": {}, "body": str() | None} as request:
            yield from _read_request(value, request)
            return
        # https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
        case {"Records": [{"eventSource": "aws:sqs"}, *_] as records}:
            bodies = [r.get("body") if isinstance(r, dict) else r for r in records]
        case {"Messages": [*messages]}:
            bodies = [m.get("Body") if isinstance(m, dict) else m for m in messages]
        case {"Body": body, "MessageId": _}:
            bodies = [body]
        case {"reason": str(), "events": [*_]} | TooDeep(
            fields={"reason": str(), "events": None}
        ):
            bodies = [value.element.text]
        case _:
            yield value
            return
    for body in bodies:
        yield from _read_body(value, body if isinstance(body, str) else "null")


def _read_request(value: Value, request: dict[str, Any]) -> Iterator[Value | Damage]:
    """Yield the events in a *request* of API Gateway, with the place of *value*."""
    try:
        for event, data in parse_body(read_body(request)):
            element = Element(data, event.text)
            yield value._replace(size=_measure(event.text), element=element)
    except MalformedBody as error:
        reason = f"the body of a request to API Gateway: {error}"
        yield Damage(value.line, value.byte, value.size, reason)


def _read_body(message: Value, body: str) -> Iterator[Value | Damage]:
    """Yield the events in the *body* of *message*, with the place of the message."""
    try:
        texts = parse_message(body)
    except MalformedBody as error:
        yield from _recover(message, body, f"a message of a queue: {error}")
        return
    for text in texts:
        element, _ = decode_element(text, 0)
        yield message._replace(size=_measure(text), element=element)


def _recover(message: Value, body: str, reason: str) -> Iterator[Value | Damage]:
    """Yield the events in the damaged *body* of *message*, and what is damaged."""
    stream = io.BytesIO(body.encode(errors="surrogatepass"))
    # Another message is not taken for events, whatever is in it.
    found = list(scan(stream)) if body.startswith(('{"code"', '{"reason"')) else []
    if not any(isinstance(part, Damage) for part in found):
        found = [Damage(message.line, message.byte, _measure(body), reason)]
    for part in found:
        yield part._replace(line=message.line, byte=message.byte)


def _measure(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))
