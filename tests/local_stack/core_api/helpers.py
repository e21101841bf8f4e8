"""Requests to the fake of the core API, and events that it bills."""

from typing import Any

import requests

from local_stack.fake_api import KEY
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline, find_customer_id

ACME = find_customer_id("acme")
START, END = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"
INVOICE_EVENTS = "/v1/invoices/inv_1/events"


def get(api: FakeCoreApi, path: str, **query: str) -> requests.Response:
    """Send a GET request with the key."""
    return requests.get(
        api.url + path, query, headers={"Authorization": f"Bearer {KEY}"}, timeout=10
    )


def read(api: FakeCoreApi, path: str, **query: str) -> Any:
    """Return the content of a successful response."""
    response = get(api, path, **query)
    assert response.status_code == 200, response.text
    return response.json()


def list_ids(api: FakeCoreApi, path: str, **query: str) -> list[str]:
    """Return the ids of the rows on the first page."""
    return [row["id"] for row in read(api, path, **query)["data"]]


def find_errors(api: FakeCoreApi, path: str, **query: str) -> list[str]:
    """Return the parameters that a response calls invalid."""
    response = get(api, path, **query)
    assert response.status_code == 400
    assert response.json()["type"] == "ValidationError"
    return list(response.json()["errors"])


def post(
    ingestion: FakeHyperline,
    record_id: str,
    time: str = "2026-11-15T12:00:00Z",
    customer: str = "acme",
    event_type: str = "api_call",
    **properties: Any,
) -> None:
    """Post an event to the ingestion API."""
    event = {
        "customer_id": customer,
        "event_type": event_type,
        "timestamp": time,
        "record": {"id": record_id, **properties},
    }
    response = requests.post(
        f"{ingestion.url}/v1/events",
        json=event,
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=10,
    )
    assert response.status_code == 202


def delete(ingestion: FakeHyperline, record_id: str) -> None:
    """Delete an event."""
    response = requests.delete(
        f"{ingestion.url}/v1/events",
        json={"matching": "record_ids", "record_ids": [record_id]},
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=10,
    )
    assert response.json() == 1


def find_event_ids(
    ingestion: FakeHyperline, event_type: str = "api_call"
) -> dict[str, str]:
    """Return the ids that the ingestion API shows, by the record's id."""
    response = requests.get(
        f"{ingestion.url}/v1/events",
        {"event_type": event_type, "take": "100"},
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=10,
    )
    return {row["record_id"]: row["id"] for row in response.json()["data"]}


def list_events(api: FakeCoreApi, ingestion: FakeHyperline, **query: str) -> list[str]:
    """Return the record ids of the events on the invoice `inv_1`."""
    names = {event: record for record, event in find_event_ids(ingestion).items()}
    return [names[event] for event in list_ids(api, INVOICE_EVENTS, **query)]
