"""Reading captured events: the formats, and how invalid events are reported."""

import base64
import io
import json
import re
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from local_stack.segment_requests import Webhook, to_api_gateway, write
from segment_to_hyperline.archive.captured import (
    CapturedEvent,
    UnreadableLine,
    read_events,
)
from segment_to_hyperline.archive.scanner import MAX_EVENT_CHARACTERS
from tests.samples import sqs_batch, track

ONE, TWO, THREE = (track(messageId=name) for name in ("one", "two", "three"))
A, B, C = map(write, (ONE, TWO, THREE))


def read(content: str | bytes) -> list[tuple[int, Any]]:
    """Return each line number with the event that begins there, or the reason."""
    raw = content.encode() if isinstance(content, str) else content
    return [
        (item.line, item.event.data if isinstance(item, CapturedEvent) else item.reason)
        for item in read_events(io.BytesIO(raw))
    ]


@pytest.mark.parametrize(
    ("content", "numbers"),
    [
        (f"{A}\n{B}\n{C}\n", (1, 2, 3)),
        (f"{A}\r\n\r\n{B}\r\n{C}", (1, 3, 4)),
        (f"\ufeff{A}\n{B}\n{C}", (1, 2, 3)),
        (f"[{A},{B},{C}]", (1, 1, 1)),
        (f"[\n  {A},\n  {B},\n  {C}\n]\n", (2, 3, 4)),
        (f"[{A}]\n[{B},{C}]\n", (1, 2, 2)),
        (f'[{{"json":{A}}},{{"json": {B}}}]\n{C}', (1, 1, 2)),
        (json.dumps([ONE, TWO, THREE]), (1, 1, 1)),
        ("".join(json.dumps(e) + "\n\n" for e in (ONE, TWO, THREE)), (1, 3, 5)),
    ],
)
def test_each_event_is_read_once(content: str, numbers: tuple[int, ...]) -> None:
    """Events can be on lines, in arrays, or both; each has its line number."""
    assert read(content) == list(zip(numbers, (ONE, TWO, THREE), strict=True))


def test_an_event_can_span_lines() -> None:
    """People copy indented events from Segment's debugger."""
    assert read(json.dumps(ONE, indent=2) + "\n" + B)[0] == (1, ONE)
    second = 2 + len(json.dumps(ONE, indent=2).splitlines())
    assert read(json.dumps([ONE, TWO], indent=2)) == [(2, ONE), (second, TWO)]


@pytest.mark.parametrize("content", ["", "\n \n", "[]", "\ufeff"])
def test_a_file_without_events_is_valid(content: str) -> None:
    """No event and no error is returned."""
    assert read(content) == []


@pytest.mark.parametrize(
    ("invalid", "reason"),
    [
        ("nonsense", "not JSON: Expecting value (character 0)"),
        ('{"type": "track"', "not JSON: Expecting ',' delimiter (character 17)"),
        ('{"type": "track', "not JSON: "),
        ("{'type': 'track'}", "not JSON: Expecting property name"),
        ('{"properties":{"n":' + "NaN}}", "not JSON: the body contains NaN"),
        ('{"n":' + "[" * 100_000 + "]" * 99_999 + "}", "not JSON: "),
    ],
    ids=lambda value: value[:20],
)
def test_an_invalid_line_is_reported_and_skipped(invalid: str, reason: str) -> None:
    """The line number is returned with the reason, and the next lines are read."""
    items = read(f"{A}\n{invalid}\n{B}\n")

    assert [items[0], items[2]] == [(1, ONE), (3, TWO)]
    assert items[1][0] == 2
    assert items[1][1].startswith(reason)


def test_a_deeply_nested_event_is_read() -> None:
    """It can't be mapped, and is found by its messageId."""
    deep = A.replace('"seats":3', '"seats":' + "[" * 100_000 + "]" * 100_000)

    (_, one), (_, data), (_, two) = read(f"{A}\n{deep}\n{B}\n")

    assert (one, two) == (ONE, TWO)
    assert data.fields["messageId"] == ONE["messageId"]


def test_an_invalid_event_of_several_lines_is_reported_once() -> None:
    """Its indented lines are not read as events."""
    invalid = json.dumps(ONE, indent=2).replace('"channel"', "channel")

    items = read(f"{invalid}\n{B}\n")

    assert [number for number, _ in items] == [1, len(invalid.splitlines()) + 1]
    assert items[1][1] == TWO


def test_a_line_that_is_not_utf_8_is_reported_and_skipped() -> None:
    """The function rejects such a request, so the event is not read here either."""
    invalid = A.encode().replace(b"Seats", b"S\xffats")

    reason = f"not valid Unicode (at byte 0, {len(invalid)} bytes skipped)"
    assert read(invalid + b"\n" + B.encode()) == [(1, reason), (2, TWO)]


def test_a_file_that_is_only_a_part_of_an_array_is_reported() -> None:
    """The file is truncated, and the number of missing events is unknown."""
    end = f"the file ends inside an array (at byte {len(A) + len(B) + 3})"
    assert read(f"[{A},\n{B}") == [(1, ONE), (2, TWO), (2, end)]
    start = f"the beginning of an array is missing (at byte {len(A) + len(B) + 2})"
    assert read(f"{A},{B}]") == [(1, ONE), (1, TWO), (1, start)]


def join(shape: str, texts: list[str]) -> str:
    """Return events in a form that files have."""
    bodies = [f'{{"reason": "no", "events": [{",".join(texts)}]}}']
    messages = [{"MessageId": "1", "Body": body} for body in (texts and bodies)]
    indented = ",\n  ".join(text.replace("\n", "\n  ") for text in texts)
    return {
        "lines": "".join(f"{text}\n" for text in texts),
        "windows lines": "".join(f"{text}\r\n" for text in texts),
        "array": f"[{','.join(texts)}]",
        "array on lines": f"[\n{',\n'.join(texts)}\n]\n",
        "indented": f"[\n  {indented}\n]",
        "comma first": f"[{'\n,'.join(texts)}\n]",
        "wrapped": f"[{','.join(f'{{"json":{text}}}' for text in texts)}]",
        "message": bodies[0],
        "cli": json.dumps({"Messages": messages}, indent=4),
        "two files": f"[{','.join(texts[:9])}][{','.join(texts[9:])}]",
    }[shape]


SHAPES = ["lines", "windows lines", "array", "array on lines", "indented"]
SHAPES += ["comma first", "wrapped", "message", "two files"]
# No change of a few bytes makes one id of another.
MANY = [track(messageId="-".join([f"{n:02}"] * 5)) for n in range(20)]
DAMAGES = {
    "NaN": (rb'"seats": ?3', b'"seats":NaN'),
    "bad byte": (rb"Seats", b"S\xffats"),
    "NUL": (rb"Seats", b"S\0ats"),
    "no comma": (rb',\s*"event"', b'"event"'),
    "no colon": (rb'"event":', b'"event"'),
    "no quote": (rb'"event"', b'event"'),
    "no brace": (rb'"properties": ?\{', b'"properties":'),
    "no end": (rb"\}", b""),
    "no beginning": (rb"\A\{\s*", b""),
    "cut": (rb'(?s)"seats": ?3.*', b'"seats":3,"pl'),
    "cut number": (rb'(?s)"seats": ?3.*', b'"seats":3'),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_one_damaged_event_does_not_hide_the_others(shape: str, damage: str) -> None:
    """In every form of file, the events before and after it are read.

    The one report has the place of what is skipped.
    """
    indent = 2 if shape == "indented" else None
    texts = [json.dumps(event, indent=indent) for event in MANY]
    pattern, replacement = DAMAGES[damage]
    damaged = re.sub(pattern, replacement, texts[5].encode(), count=1)
    assert damaged != texts[5].encode()
    texts[5] = "DAMAGED"
    content = join(shape, texts).encode()

    items = read(content.replace(b"DAMAGED", damaged))

    (reason,) = [value for _, value in items if isinstance(value, str)]
    start = content.index(b"DAMAGED") - (len('{"json":') if shape == "wrapped" else 0)
    is_in_message = shape == "message" and damage == "bad byte"
    assert f"(at byte {0 if is_in_message else start:,}, " in reason
    events = [value for _, value in items if isinstance(value, dict)]
    assert events == [*MANY[:5], *MANY[6:]]


class GeneratedStream(io.RawIOBase):
    """A stream of *parts*, each generated when it is read, to use no memory."""

    def __init__(self, parts: Any) -> None:
        self._parts = parts
        self._rest = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes into *buffer*."""
        self._rest = self._rest or next(self._parts, b"")
        part = self._rest[: len(buffer)]
        self._rest = self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def test_what_is_inside_a_damaged_event_is_not_read_as_an_event() -> None:
    """An event can contain others, which are not billed."""
    damaged = f'{{"batch": [{A},{B}], "n": NaN}}'

    (_, reason), (_, event) = read(f"{damaged}\n{C}\n")

    assert reason.endswith(f"(at byte 0, {len(damaged)} bytes skipped)")
    assert event == THREE


def export(*messages: str) -> str:
    """Return *messages* as `aws sqs receive-message` prints them."""
    content = [{"MessageId": str(n), "Body": body} for n, body in enumerate(messages)]
    return json.dumps({"Messages": content}, indent=4)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b'seats\\":3', b'seats\\":NaN', "not JSON: the body contains NaN"),
        (b"Seats", b"S\xffats", "not valid Unicode"),
        (b'\\"seats', b"\\seats", "not JSON: Invalid \\escape"),
        (b'"0",', b'"0"', "not JSON: Expecting ',' delimiter"),
    ],
)
def test_a_damaged_message_does_not_hide_others(
    before: bytes, after: bytes, reason: str
) -> None:
    """Neither other messages of an export, nor the events stored with the damaged one.

    If the JSON of the export itself is damaged, its message is lost as a whole.
    """
    bodies = [join("message", [A, B]), join("message", [C])]
    content = export(*bodies).encode()

    items = read(content.replace(before, after, 1))

    (shown,) = [value for _, value in items if isinstance(value, str)]
    assert reason in shown
    is_whole = "delimiter" in reason or "escape" in reason
    assert [e for _, e in items if e != shown] == (
        [THREE] if is_whole else [TWO, THREE]
    )


def test_an_export_of_any_size_is_read() -> None:
    """Many exports are often merged into one."""
    bodies = [join("message", [A] * 600)] * 50

    items = read(export(*bodies))

    assert len(items) == 30_000
    assert all(value == ONE for _, value in items)


def wrap(body: str | None, *, is_base64: bool = False) -> dict[str, Any]:
    """Return the request of API Gateway with this *body*."""
    request = to_api_gateway(Webhook(body or "", {}))
    return request | {"body": body, "isBase64Encoded": is_base64}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("content", "events"),
    [
        (wrap(A), [ONE]),
        (wrap(f"[{A},{B}]"), [ONE, TWO]),
        (wrap(f'[{{"json":{A}}}]'), [ONE]),
        (wrap(base64.b64encode(A.encode()).decode(), is_base64=True), [ONE]),
        (sqs_batch(f'{{"reason": "r", "events": [{A},{B}]}}'), [ONE, TWO]),
        (
            sqs_batch(*(f'{{"reason": "r", "events": [{e}]}}' for e in (A, B))),
            [ONE, TWO],
        ),
    ],
)
def test_what_lambda_passes_to_the_functions_is_unwrapped(
    content: dict[str, Any], events: list[Any], indent: int | None
) -> None:
    """The files in events/ are such requests and messages."""
    found = read(json.dumps(content, indent=indent))

    assert found == [(1, event) for event in events]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (wrap(A[:-1]), "the body of a request to API Gateway: not JSON: "),
        (wrap(None), "the body of a request to API Gateway: not JSON: "),
        (wrap("[]"), "the body of a request to API Gateway: the array is empty"),
        (
            wrap("%", is_base64=True),
            "the body of a request to API Gateway: the body is not base64",
        ),
        (sqs_batch(A), "a message of a queue: not {"),
        ({"Records": [{"eventSource": "aws:sqs"}]}, "a message of a queue: not {"),
    ],
)
def test_what_is_wrapped_and_has_no_events_is_reported(
    content: dict[str, Any], reason: str
) -> None:
    """The reason says what the file is."""
    first, last = read(f"{json.dumps(content)}\n{A}")

    assert first[1].startswith(reason)
    assert last == (2, ONE)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize("shape", SHAPES)
def test_other_encodings_are_read(encoding: str, shape: str) -> None:
    """PowerShell writes UTF-16, and other tools for Windows a byte order mark."""
    events = [track(messageId=f"m-{n}", event="Sièges 💺") for n in range(20)]
    content = join(shape, list(map(write, events))).encode(encoding)

    assert [value for _, value in read(content)] == events
    *found, reason = [value for _, value in read(content[:-5])]
    assert found in (events[:-1], events)
    assert "(at byte " in reason


@pytest.mark.parametrize("size", [1, 4_096])
def test_zeros_at_the_end_are_reported(size: int) -> None:
    """A file that was being written during a crash can end so."""
    items = read(f"{A}\n{B}\n".encode() + b"\0" * size)

    assert items[:2] == [(1, ONE), (2, TWO)]
    assert f"{size:,} byte{'s' * (size > 1)} skipped" in items[2][1]


def replace(
    content: bytes, spans: dict[str, tuple[int, int]], change: tuple[float, int, bytes]
) -> bytes:
    """Replace a part of *content*; forget what it touches in *spans*, move the rest."""
    place, size, data = change
    start = int(place * len(content))
    end = min(start + size, len(content))
    for name, (first, last) in list(spans.items()):
        if first >= end:
            moved = len(data) - (end - start)
            spans[name] = (first + moved, last + moved)
        elif last > start:
            del spans[name]
    return content[:start] + data + content[end:]


CHANGES = st.tuples(
    st.floats(0, 1),
    st.sampled_from([0, 1, 1, 2, 10, 500, 1_000_000]),
    st.sampled_from(
        [
            b"",
            b"",
            *(c.encode() for c in '"{}[],:\\\n\0'),
            b"NaN",
            b"\xff",
            b"{}",
            b"[{",
        ]
    ),
)


@given(st.sampled_from(SHAPES), st.lists(CHANGES, min_size=1, max_size=3))
@settings(max_examples=400)
def test_no_damage_hides_an_event_silently(
    shape: str, changes: list[tuple[float, int, bytes]]
) -> None:
    """Every event that isn't damaged is read once, or is in what is reported.

    Nothing else is read as an event.
    """
    indent = 2 if shape == "indented" else None
    texts = {event["messageId"]: json.dumps(event, indent=indent) for event in MANY}
    content = join(shape, list(texts.values()))
    spans = {}
    for name, text in texts.items():
        shown = text.replace("\n", "\n  ")
        part = f'{{"json":{text}}}' if shape == "wrapped" else shown
        start = content.encode().index(part.encode())
        spans[name] = (start, start + len(part.encode()))
    # If the key of a message's events is damaged, it is another valid object.
    spans["key"] = (0, len(content.partition("[")[0]) if shape == "message" else 0)
    damaged = content.encode()
    for change in changes:
        damaged = replace(damaged, spans, change)

    assume("key" in spans or shape != "message")
    spans.pop("key", None)

    items = [value for _, value in read(damaged)]

    reported = [
        (int(byte.replace(",", "")), int(size.replace(",", "")))
        for value in items
        if isinstance(value, str)
        for byte, size in re.findall(r"at byte ([\d,]+), ([\d,]+) byte", value)
    ]
    for name, (start, end) in spans.items():
        found = [e for e in items if isinstance(e, dict) and e.get("messageId") == name]
        is_reported = any(b <= start and end <= b + size for b, size in reported)
        assert found == [json.loads(texts[name])] or (not found and is_reported)


def long_line() -> Any:
    """Yield a line of 100 MB, and a line with an event."""
    yield b'{"type": "'
    yield from (b"x" * 1_000_000 for _ in range(100))
    yield b'"}\n' + A.encode()


def many_events(separator: str) -> Any:
    """Yield 40,001 events, in an array if *separator* is a comma."""
    if separator == ",":
        yield b"["
    yield from ((A + separator).encode() * 100 for _ in range(400))
    yield A.encode() + (b"]" if separator == "," else b"")


def damaged_events(part: str) -> Any:
    """Yield an array of 40,001 events on one line; every 1,000th has *part*."""
    yield b"["
    for n in range(40_000):
        yield (A.replace('"event":', part) if n % 1_000 == 500 else A).encode() + b","
    yield A.encode() + b"]"


def measure(generate: Any, *arguments: str) -> tuple[int, list[UnreadableLine], int]:
    """Return the number of events, the unreadable lines, and the peak memory."""
    tracemalloc.start()
    events, unreadable = 0, []
    for item in read_events(io.BufferedReader(GeneratedStream(generate(*arguments)))):
        if isinstance(item, UnreadableLine):
            unreadable.append(item)
        else:
            events += 1
    return events, unreadable, tracemalloc.get_traced_memory()[1]


def measure_alone(*task: Any) -> tuple[int, list[UnreadableLine], int]:
    """Return the result of `measure` in a process that does nothing else."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, *task).result()


def test_a_line_of_100_mb_is_reported_and_skipped() -> None:
    """No request is that long, so the line is not read into memory."""
    events, unreadable, peak = measure_alone(long_line)

    reason = f"longer than {MAX_EVENT_CHARACTERS:,} characters"
    place = "at byte 0, 100,000,013 bytes skipped"
    assert (events, unreadable) == (1, [UnreadableLine(1, f"{reason} ({place})")])
    assert peak < 60_000_000


@pytest.mark.parametrize("separator", ["\n", ","])
def test_a_large_file_takes_little_memory(separator: str) -> None:
    """Memory is released after each event, on lines as well as in an array."""
    events, unreadable, peak = measure_alone(many_events, separator)

    assert (events, unreadable) == (40_001, [])
    assert peak < 2_000_000 < 40_000 * len(A)


@pytest.mark.parametrize("part", ['"event', 'event":', '"a":{"event":', "["])
def test_damage_in_a_large_file_takes_little_memory(part: str) -> None:
    """What is skipped is not collected, and the other events are read."""
    events, unreadable, peak = measure_alone(damaged_events, part)

    assert (events, len(unreadable)) == (39_961, 40)
    assert peak < 2_000_000
