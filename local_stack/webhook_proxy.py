"""Pass requests on to the local API Gateway, and write a line about each of them."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

import requests

from local_stack.fake_api import KEY, FakeApi, FakeResponse, Request, create_message
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.sending.responses import Response, Summary, summarize
from segment_to_hyperline.text import cut, make_printable

_SECONDS = 30
_MOST_CHARACTERS = 500
# The others are those of a connection, which are created again.
_HEADERS = frozenset(("content-type", "user-agent", "x-signature", "authorization"))


class WebhookProxy(FakeApi):
    """An API on a loopback port, in front of the one in the local AWS.

    Requests are processed one after the other, so that what is posted to Hyperline
    meanwhile belongs to the request. The rest is the Replayer's.
    """

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", KEY, rate_limit=0, port=port)
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._lock = threading.Lock()
        self._target: tuple[str, FakeHyperline] | None = None
        self._shown = 0

    def connect(self, api_url: str, hyperline: FakeHyperline) -> None:
        """Pass requests on to *api_url*, which posts to *hyperline*."""
        self._target = api_url, hyperline

    def handle(self, request: Request) -> FakeResponse:
        """Pass *request* on, and return the response."""
        if self._target is None:
            return create_message(503, "the local stack isn't ready yet")
        with self._lock:
            self._show_replayed()
            response = _pass_on(request, self._target[0])
            summary = summarize(Response(response.status, response.body))
            self._lines.put(describe(summary, self._take_posted()))
        return response

    def wait_for_lines(self, seconds: float) -> Iterator[str]:
        """Yield the lines that are new; wait for the first one so many *seconds*."""
        with suppress(Empty):
            yield self._lines.get(timeout=seconds)
            while True:
                yield self._lines.get_nowait()
        if self._lock.acquire(blocking=False):  # no request is processed
            self._show_replayed()
            self._lock.release()

    def _show_replayed(self) -> None:
        if posted := self._take_posted():
            self._lines.put(f"Replayer  posted {_describe_posted(posted)}")

    def _take_posted(self) -> list[str]:
        """Return the billable events that were posted since the last time."""
        if self._target is None:
            return []
        new = self._target[1].requests[self._shown :]
        self._shown += len(new)
        bodies = [json.loads(each.body) for each in new if each.method == "POST"]
        events = [e for b in bodies for e in (b if isinstance(b, list) else [b])]
        return [json.dumps(event, ensure_ascii=False) for event in events]


def describe(summary: Summary, posted: Sequence[str]) -> str:
    """Return the line about a request, whose billable events were *posted*."""
    line = summary.line
    if summary.reasons:
        line += f"  ({_join(summary.reasons)})"
    if posted:
        line += f"  posted {_describe_posted(posted)}"
    return line


def _describe_posted(events: Sequence[str]) -> str:
    return _join([cut(make_printable(event), _MOST_CHARACTERS) for event in events])


def _join(texts: Sequence[str]) -> str:
    more = len(texts) - 1
    return f"{texts[0]} and {more:,} more" if more else texts[0]


def _pass_on(request: Request, api_url: str) -> FakeResponse:
    headers = {k: v for k, v in request.headers.items() if k.lower() in _HEADERS}
    try:
        response = requests.request(
            request.method,
            f"{api_url}{request.path}",
            data=request.body,
            headers=headers,
            timeout=_SECONDS,
        )
    except requests.RequestException as error:
        return create_message(502, f"the local AWS: {type(error).__name__}")
    return FakeResponse(response.status_code, response.content)
