"""What a response says about the events of its request."""

import json
from typing import Any

import pytest

from segment_to_hyperline.sending.responses import NoResponse, Response, summarize

PENDING = {"delivered": 0, "pending": 1}


def test_no_response_is_a_failure() -> None:
    """The line says why there is none."""
    summary = summarize(NoResponse("the connection was lost"))

    assert summary == ("no response: the connection was lost", (), False)


@pytest.mark.parametrize(
    ("error", "reasons"),
    [
        ({"message_id": "m-1", "code": "c", "reason": "r"}, ("m-1: r",)),
        ({"message_id": None, "code": "c", "reason": "r"}, ("r",)),
        ({"message_id": "\x1b", "code": "c", "reason": "r"}, (r'"\u001b: r"',)),
        ({"message_id": "m-1", "code": "c", "reason": "r" * 1_000}, None),
        ("r", ()),
    ],
)
def test_a_reason_is_printable(error: Any, reasons: tuple[str, ...] | None) -> None:
    """It is that of an event, or of the request; what is unknown is left out."""
    body = json.dumps(PENDING | {"errors": [error]}).encode()

    summary = summarize(Response(503, body))

    assert summary.line == "503  1 pending"
    assert not summary.is_success
    if reasons is not None:
        assert summary.reasons == reasons
    assert all(len(reason) <= 300 for reason in summary.reasons)
