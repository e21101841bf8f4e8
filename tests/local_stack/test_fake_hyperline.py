"""The fake of Hyperline accepts what is documented, and nothing else.

Otherwise a test could pass with a request that Hyperline rejects.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from local_stack.fake_api import KEY
from local_stack.fake_hyperline import FakeHyperline, OddRow

type Call = Callable[..., requests.Response]

EVENT = {
    "customer_id": "customer-1",
    "event_type": "api_call",
    "timestamp": "2026-01-16T09:30:59.243Z",
    "record": {"id": "r-1", "seats": 3, "tags": ["a", 1, True]},
}


@pytest.fixture
def fake() -> Iterator[FakeHyperline]:
    """A fake without events."""
    with FakeHyperline() as fake:
        yield fake


@pytest.fixture
def call(fake: FakeHyperline) -> Call:
    """Send a request with the API key."""

    def call(method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {KEY}"} | options.pop("headers", {})
        return requests.request(
            method, f"{fake.url}{path}", headers=headers, timeout=10, **options
        )

    return call


def event(number: int, **changes: Any) -> dict[str, Any]:
    """Return an event; a higher number is a later time."""
    return EVENT | {
        "timestamp": f"2026-01-16T09:00:{number:02}Z",
        "record": {"id": f"r-{number}"},
        **changes,
    }


def find(call: Call, query: str) -> list[str]:
    """Return the record ids that are found."""
    response = call("GET", f"/v1/events?event_type=api_call&{query}")
    assert response.status_code == 200
    return [row["record_id"] for row in response.json()["data"]]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", "/v1/events/"), ("POST", "/v3/events"), ("POST", "/v1/v1/events")),
        *(("POST", "/"), ("POST", "/v1/customers"), ("GET", "/v1/customers")),
        *(("GET", "/v1/events/batch"), ("GET", "/v1/events/r-1"), ("GET", "/v1")),
        *(("PUT", "/v1/events"), ("PATCH", "/v1/events")),
        *(("HEAD", "/v1/events"), ("OPTIONS", "/v1/events"), ("ANY", "/v1/events")),
    ],
)
def test_other_paths_and_methods_do_not_exist(
    call: Call, fake: FakeHyperline, method: str, path: str
) -> None:
    """They get 404, also if the path exists for another method."""
    response = call(method, path, json=EVENT)

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/json"
    if method != "HEAD":
        assert response.json() == {"message": "Route not found"}
    assert fake.store == {}


def test_a_wrong_key_is_rejected(call: Call) -> None:
    """The response is that of the documentation."""
    for method in ("GET", "POST"):
        response = call(method, "/v1/events", headers={"Authorization": "Bearer x"})

        assert response.status_code == 401
        assert response.json() == {"message": "Missing authentication token"}


def test_a_single_event_is_accepted_without_a_body(
    call: Call, fake: FakeHyperline
) -> None:
    """Its price can be requested too; the time can be in milliseconds."""
    first = call("POST", "/v1/events?with_price_calculation=true", json=EVENT)
    second = call("POST", "/v1/events", json=event(1, timestamp=1_768_555_859_243))

    assert (first.status_code, first.content) == (202, b"")
    assert "Content-Type" not in first.headers
    assert second.status_code == 202
    assert set(fake.store) == {("api_call", "r-1")}
    row = call("GET", "/v1/events?event_type=api_call").json()["data"][0]
    assert row["timestamp"] == "2026-01-16T09:30:59.243Z"


def test_a_batch_is_accepted_with_the_events_that_it_names(call: Call) -> None:
    """At most 5,000."""
    response = call("POST", "/v1/events/batch", json=[event(1), event(2)])

    assert response.status_code == 201
    assert response.json() == {
        "events_created": [event(1), event(2)],
        "events_failed": [],
    }
    too_many = [event(1)] * 5_001
    assert call("POST", "/v1/events/batch", json=too_many).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        *({"customer_id": None}, {"event_type": ""}, {"event_type": 1}, {"record": {}}),
        *({"timestamp": "2026-01-16"}, {"timestamp": "2026-01-16 09:30:59"}),
        *({"timestamp": "yesterday"}, {"timestamp": None}, {"timestamp": 1.5}),
        *({"record": {"id": 1}}, {"record": {"id": "r", "x": {}}}),
        *({"record": {"id": "r", "x": None}}, {"record": {"id": "r", "x": [{}]}}),
        {"record": {"id": "r", "x": float("nan")}},
    ],
)
def test_an_event_in_another_form_is_rejected(
    call: Call, fake: FakeHyperline, changes: dict[str, Any]
) -> None:
    """Alone or in a batch, with a body as Hyperline's."""
    for path, body in (
        ("/v1/events", EVENT | changes),
        ("/v1/events/batch", [EVENT, EVENT | changes]),
    ):
        text = json.dumps(body)
        response = call("POST", path, data=text)

        assert response.status_code == 400
        content = response.json()
        assert (content["statusCode"], content["type"]) == (400, "ValidationError")
        assert isinstance(content["message"], str)
        assert isinstance(content["errors"], dict)
    assert fake.store == {}


@pytest.mark.parametrize("body", ["", "x", "[", "[]", "{}", "1", b"\xff"])
def test_a_body_in_another_form_is_rejected(call: Call, body: Any) -> None:
    """A single event is no array, and a batch is nothing else."""
    for path in ("/v1/events", "/v1/events/batch"):
        assert call("POST", path, data=body).status_code == 400
    assert call("POST", "/v1/events", json=[EVENT]).status_code == 400
    assert call("POST", "/v1/events/batch", json=EVENT).status_code == 400


def test_a_row_is_as_documented(call: Call) -> None:
    """With these fields, and the time in milliseconds.

    https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events
    """
    call("POST", "/v1/events", json=EVENT | {"timestamp": "2026-01-16T10:00:00+01:00"})

    response = call("GET", "/v1/events?event_type=api_call")

    assert response.headers["Content-Type"] == "application/json"
    content = response.json()
    assert content["meta"] == {"total": 1, "taken": 1, "skipped": 0}
    (row,) = content["data"]
    assert row.pop("id").startswith("evt_")
    assert row.pop("customer_id").startswith("cus_")
    assert row == {
        "event_type": "api_call",
        "timestamp": "2026-01-16T09:00:00.000Z",
        "record_id": "r-1",
        "record": EVENT["record"],
    }


def test_rows_are_in_descending_order_by_default(call: Call) -> None:
    """Pages have 50 rows by default and at most 100."""
    call("POST", "/v1/events/batch", json=[event(number) for number in range(60)])
    everything = [f"r-{number}" for number in range(60)]

    assert find(call, "") == everything[:9:-1]
    assert find(call, "order=desc&take=100") == everything[::-1]
    assert find(call, "order=asc&sort=timestamp&take=2&skip=3") == ["r-3", "r-4"]
    assert find(call, "take=0") == []


def test_each_documented_filter_is_applied(call: Call) -> None:
    """Unknown ones are ignored, as Hyperline does."""
    events = [event(1), event(2), event(3, customer_id="cus_1"), event(4)]
    call("POST", "/v1/events/batch", json=events)
    call("POST", "/v1/events", json=event(5, event_type="other"))
    times = "timestamp_gte=2026-01-16T09:00:02Z&timestamp_lte=2026-01-16T09:00:03.000Z"

    assert find(call, times) == ["r-3", "r-2"]
    assert find(call, "record_id__in=r-1,r-4,r-9") == ["r-4", "r-1"]
    assert find(call, "customer_id=cus_1") == ["r-3"]
    assert find(call, "customer_id=customer-1") == []
    assert find(call, "record_id=r-1&timestamp__gte=x") == ["r-4", "r-3", "r-2", "r-1"]


def test_the_number_of_rows_taken_can_be_wrong(call: Call) -> None:
    """On an empty page it is what was asked for, as it was seen elsewhere."""
    meta = call("GET", "/v1/events?event_type=none&take=7").json()["meta"]

    assert meta == {"total": 0, "taken": 7, "skipped": 0}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        *(("", "event_type"), ("event_type=", "event_type")),
        *(("event_type=a&take=101", "take"), ("event_type=a&take=-1", "take")),
        *(("event_type=a&take=x", "take"), ("event_type=a&skip=-1", "skip")),
        *(("event_type=a&order=up", "order"), ("event_type=a&sort=id", "sort")),
        ("event_type=a&timestamp_gte=2026-01-01", "timestamp_gte"),
        ("event_type=a&timestamp_lte=2026-01-01T00:00:00", "timestamp_lte"),
    ],
)
def test_an_invalid_parameter_is_rejected(call: Call, query: str, name: str) -> None:
    """A page of 101 is not shortened to 100."""
    response = call("GET", f"/v1/events?{query}")

    assert response.status_code == 400
    content = response.json()
    assert list(content.pop("errors")) == [name]
    assert content == {
        "statusCode": 400,
        "type": "ValidationError",
        "message": "Invalid query params",
    }


def test_all_requests_count_towards_one_rate_limit(
    call: Call, fake: FakeHyperline
) -> None:
    """1,000 in 10 seconds, whatever they are; the response is the documented one."""
    assert fake.limiter.limit == 1_000
    fake.limiter.limit = 3

    accepted = [
        call("POST", "/v1/events", json=EVENT),
        call("GET", "/v1/events?event_type=api_call"),
        call("GET", "/v1/unknown"),
    ]
    rejected = call("POST", "/v1/events", json=event(2))

    assert [response.status_code for response in accepted] == [202, 200, 404]
    assert [r.headers["X-RateLimit-Remaining"] for r in accepted] == ["2", "1", "0"]
    assert all("Retry-After" not in response.headers for response in accepted)
    assert (rejected.status_code, rejected.text) == (429, "Too many requests")
    assert rejected.headers["X-RateLimit-Limit"] == "3"
    assert rejected.headers["Content-Type"] == "text/plain"
    assert 1 <= int(rejected.headers["Retry-After"]) <= 11
    assert set(fake.store) == {("api_call", "r-1")}


def test_a_deletion_is_by_id_whatever_the_type(fake: FakeHyperline, call: Call) -> None:
    """An id that is stored under two types is deleted under both; others remain."""
    call("POST", "/v1/events/batch", json=[event(1), event(2)])
    call("POST", "/v1/events", json=event(1, event_type="upload"))
    content = {"matching": "record_ids", "record_ids": ["r-1", "unknown"]}

    response = call("DELETE", "/v1/events", json=content)

    assert (response.status_code, response.json()) == (200, 2)
    assert set(fake.store) == {("api_call", "r-2")}


@pytest.mark.parametrize(
    "content",
    [
        {"matching": "all"},
        {"matching": "record_ids", "record_ids": []},
        {"matching": "record_ids", "record_ids": [1]},
        {"matching": "record_ids", "record_ids": ["r"] * 5_001},
    ],
)
def test_other_deletions_are_rejected(call: Call, content: Any) -> None:
    """Whatever would delete more than what is listed is never sent."""
    assert call("DELETE", "/v1/events", json=content).status_code == 400


def test_an_event_that_is_stored_twice_has_two_ids(
    fake: FakeHyperline, call: Call
) -> None:
    """Both rows are counted."""
    call("POST", "/v1/events", json=EVENT)
    fake.rows.repeated.add("r-1")

    content = call("GET", "/v1/events?event_type=api_call").json()

    assert content["meta"]["total"] == 2
    assert len({row["id"] for row in content["data"]}) == 2


def test_microseconds_are_stored_and_not_shown(fake: FakeHyperline, call: Call) -> None:
    """They count for the filters; a time can be rounded down or rounded."""
    call("POST", "/v1/events", json=EVENT | {"timestamp": "2026-01-16T09:00:00.9996Z"})

    assert find(call, "timestamp_lte=2026-01-16T09:00:00.999Z") == []
    assert find(call, "timestamp_lte=2026-01-16T09:00:00.999999Z") == ["r-1"]
    assert find(call, "timestamp_gte=2026-01-16T09:00:01Z") == []
    for answer, shown in (("rounded down", "00.999Z"), ("rounded", "01.000Z")):
        fake.behaviour["microseconds"] = answer
        (row,) = call("GET", "/v1/events?event_type=api_call").json()["data"]
        assert row["timestamp"] == f"2026-01-16T09:00:{shown}"


def test_rows_with_the_same_time_can_have_any_order(
    fake: FakeHyperline, call: Call
) -> None:
    """Here, another one for each page; by default, it is always the same."""
    same = [event(n, timestamp=EVENT["timestamp"]) for n in range(100)]
    call("POST", "/v1/events/batch", json=same)
    pages = [f"order=asc&take=50&skip={skip}" for skip in (0, 50)]
    assert len({i for page in pages for i in find(call, page)}) == 100

    fake.rows.order_ties = lambda query: query["skip"]

    assert find(call, pages[0]) == find(call, pages[0])
    assert len({i for page in pages for i in find(call, page)}) < 100


def test_another_writer_can_store_odd_rows(fake: FakeHyperline, call: Call) -> None:
    """They have a time, and are returned as they are."""
    content = {"id": "evt_1", "event_type": "api_call", "record_id": 485}
    fake.rows.odd.append(OddRow("api_call", 1_000_000, content))

    (row,) = call("GET", "/v1/events?event_type=api_call").json()["data"]

    assert row == content
    assert find(call, "timestamp_gte=1970-01-01T00:00:01.000001Z") == []
    assert find(call, "record_id__in=485") == []


def test_what_is_stored_can_change_before_a_response(
    fake: FakeHyperline, call: Call
) -> None:
    """Rows then move to another page."""
    call("POST", "/v1/events", json=EVENT)
    fake.rows.before_read = fake.store.clear

    assert find(call, "") == []
