"""A mapping with its page, and events as an SDK sends them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_stack.segment_requests import write
from segment_to_hyperline.studio.studio import Studio
from tests.samples import track

MAPPING = """# Everything is billed.
[[rules]]
record = { "*" = "properties" }
"""


def order(number: int, **changes: Any) -> dict[str, Any]:
    """Return an order with two products, of a person."""
    products = [
        {"sku": "seat", "quantity": number, "price": 10},
        {"sku": "disk", "quantity": 1, "price": 2.5},
    ]
    return (
        track(
            event="Order Completed",
            messageId=f"order-{number}",
            userId=f"customer-{number % 2}",
            context={"ip": "198.51.100.7", "traits": {"email": "jane@acme.example"}},
            properties={"order_id": f"o-{number}", "products": products},
        )
        | changes
    )


FIVE = [
    *(order(number) for number in (1, 2, 3)),
    track(event="order completed", messageId="m-4"),
    {"type": "page", "name": "Home", "messageId": "m-5", "userId": "customer-1"},
]


def to_lines(events: list[dict[str, Any]]) -> str:
    """Return *events*, one per line."""
    return "".join(f"{write(event)}\n" for event in events)


type Open = Callable[..., Studio]


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    """The file with the saved mapping."""
    path = tmp_path / "mapping.toml"
    path.write_text(MAPPING, "utf-8")
    return path


@pytest.fixture
def studio(mapping: Path) -> Studio:
    """The page of the mapping, with five events."""
    studio = Studio(mapping)
    studio.events.read("pasted", json.dumps(FIVE).encode())
    return studio
