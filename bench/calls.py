"""The calls that are made: the SDKs' track events, as API Gateway passes them on."""

import itertools
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
from tools.segment_requests import array, single, to_api_gateway

_numbers = itertools.count()


def _read_tracks() -> list[dict[str, Any]]:
    """Return the SDKs' track events that can be billed and are of a usual size."""
    text = (ROOT / "tools/segment-events.ndjson").read_text("utf-8")
    lines = text.rstrip("\n").split("\n")  # JSON may hold what splitlines breaks at
    events = [json.loads(line) for line in lines if len(line) < 2_000]
    return [e for e in events if e["type"] == "track" and e["userId"] is not None]


_TRACKS = _read_tracks()


def make_single() -> dict[str, Any]:
    """Return the call for one event."""
    return to_api_gateway(single(_make_event()))


def make_array(size: int) -> dict[str, Any]:
    """Return the call for *size* events."""
    return to_api_gateway(array([_make_event() for _ in range(size)]))


def _make_event() -> str:
    number = next(_numbers)
    event = _TRACKS[number % len(_TRACKS)] | {"messageId": f"bench-{number}"}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))
