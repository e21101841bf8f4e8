"""The requests to measure: track events of Segment's SDKs, from API Gateway."""

import itertools
import json
from datetime import UTC, datetime
from typing import Any

from local_stack.segment_requests import (
    Webhook,
    array,
    read_sdk_events,
    single,
    to_api_gateway,
    write,
)

_numbers = itertools.count()


def _read_tracks() -> list[dict[str, Any]]:
    """Return the SDKs' track events that can be billed and are of a usual size."""
    events = [json.loads(text) for text in read_sdk_events() if len(text) < 2_000]
    return [e for e in events if e["type"] == "track" and e["userId"] is not None]


_TRACKS = _read_tracks()
# With what a browser adds to an event, it has about 1 KB.
_BROWSER = {
    "ip": "203.0.113.7",
    "locale": "de-CH",
    "timezone": "Europe/Zurich",
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140",
    "page": {
        "path": "/settings/team",
        "referrer": "https://app.example.com/settings",
        "search": "",
        "title": "Team",
        "url": "https://app.example.com/settings/team",
    },
    "campaign": {"name": "spring", "source": "newsletter", "medium": "email"},
}


def make_single() -> dict[str, Any]:
    """Return a request with one event."""
    return to_api_gateway(single(_make_event()))


def make_array(size: int) -> dict[str, Any]:
    """Return a request with an array of *size* events of about 1 KB."""
    return to_api_gateway(array([_make_event() for _ in range(size)]))


def make_small_array(size: int) -> dict[str, Any]:
    """Return a request with an array of *size* events of about 300 bytes."""
    return to_api_gateway(array([_make_small_event() for _ in range(size)]))


def make_unauthorized() -> dict[str, Any]:
    """Return a request with one event that isn't signed."""
    return to_api_gateway(Webhook(_make_event(), {}))


def make_forged() -> dict[str, Any]:
    """Return a request with one event and a signature that looks like Segment's."""
    return to_api_gateway(Webhook(_make_event(), {"X-Signature": "0" * 40}))


def _make_event() -> str:
    number = next(_numbers)
    track = _TRACKS[number % len(_TRACKS)]
    context = {"context": track["context"] | _BROWSER}
    return write(track | context | _make_identity(number))


def _make_small_event() -> str:
    number = next(_numbers)
    event = {
        "type": "track",
        "event": "Seats Added",
        "userId": f"customer-{number % 100}",
        "properties": {"seats": number % 7, "plan": "team", "region": "eu-west-1"},
    }
    return write(event | _make_identity(number))


def _make_identity(number: int) -> dict[str, str]:
    """Return a messageId of the usual length, and times as recent as in a request."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "messageId": f"bench-{number:030}",
        "timestamp": now,
        "sentAt": now,
        "receivedAt": now,
    }
