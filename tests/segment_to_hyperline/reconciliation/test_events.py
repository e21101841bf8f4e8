"""All rows are read, whatever their order is and whatever changes meanwhile."""

import json
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local_stack.fake_api import FakeResponse
from local_stack.fake_hyperline import FakeHyperline, OddRow
from segment_to_hyperline.reconciliation.api.events import (
    MAX_DELETED,
    can_find,
    fit_queries,
)
from segment_to_hyperline.reconciliation.api.failures import (
    AccessError,
    HyperlineUnavailable,
)
from segment_to_hyperline.reconciliation.api.rows import (
    Row,
    Window,
    format_end,
    parse_page,
    parse_row,
)
from tests.segment_to_hyperline.reconciliation.helpers import (
    DAY,
    SEATS,
    START,
    Clock,
    body,
    create_events,
    put,
)

WINDOW = Window(SEATS, START, START + DAY)


def ids(rows: list[Row]) -> list[str]:
    """Return the ids of *rows*, sorted."""
    return sorted(row.record_id for row in rows)


def put_many(api: FakeHyperline, number: int, distance: int = 1) -> list[str]:
    """Store *number* events, with so many milliseconds in between; return their ids."""
    names = [f"m-{position:05}" for position in range(number)]
    put(api, *(body(name, START + distance * i) for i, name in enumerate(names)))
    return names


@pytest.mark.parametrize("number", [0, 1, 99, 100, 101, 250])
def test_all_pages_are_read(ingestion: FakeHyperline, number: int) -> None:
    """With no more requests than pages."""
    names = put_many(ingestion, number)

    assert ids(create_events(ingestion).read(WINDOW)) == names
    assert len(ingestion.reads) == max(1, -(-number // 100))
    assert create_events(ingestion).count(WINDOW) == number


def test_short_pages_are_completed(ingestion: FakeHyperline) -> None:
    """A server may return fewer rows than it was asked for."""
    names = put_many(ingestion, 250)
    ingestion.rows.max_page = 30

    assert ids(create_events(ingestion).read(WINDOW)) == names


@pytest.mark.parametrize(
    "order_ties",
    [
        partial(lambda numbers, _: next(numbers), count()),
        lambda query: tuple(query.items()),
        lambda query: query["skip"],
    ],
    ids=["response", "query", "page"],
)
def test_many_rows_with_the_same_time_are_read(
    ingestion: FakeHyperline, order_ties: Any
) -> None:
    """Their order isn't documented, so it can differ from page to page."""
    names = put_many(ingestion, 2_500, distance=0)
    ingestion.rows.order_ties = order_ties

    assert ids(create_events(ingestion).read(WINDOW)) == names


def test_a_row_that_is_stored_twice_is_read_twice(ingestion: FakeHyperline) -> None:
    """It has two ids of Hyperline's."""
    put_many(ingestion, 150)
    ingestion.rows.repeated.add("m-00100")

    rows = create_events(ingestion).read(WINDOW)

    assert [row.record_id for row in rows].count("m-00100") == 2
    assert len({row.id for row in rows}) == 151


def test_rows_that_appear_or_vanish_meanwhile_hide_no_others(
    ingestion: FakeHyperline,
) -> None:
    """Each change moves other rows to another page."""
    names = put_many(ingestion, 1_000, distance=10)
    arriving = [body(f"new-{i:03}", START + 37 * i) for i in range(150)]
    leaving = [(SEATS, name) for name in names[::10]]

    def change() -> None:
        if arriving:
            put(ingestion, arriving.pop())
        if leaving:
            del ingestion.store[leaving.pop()]
        ingestion.rows.forget()

    ingestion.rows.before_read = change

    found = ids(create_events(ingestion).read(WINDOW))

    assert {*names} - {*names[::10]} <= {*found}


def test_rows_that_arrive_at_the_end_need_no_second_pass(
    ingestion: FakeHyperline,
) -> None:
    """New events are usually the last ones."""
    names = put_many(ingestion, 250)
    new = iter(range(250, 10_000))

    def arrive() -> None:
        number = next(new)
        put(ingestion, body(f"m-{number:05}", START + number))

    ingestion.rows.before_read = arrive

    assert {*names} <= {*ids(create_events(ingestion).read(WINDOW))}
    assert len(ingestion.reads) == 3


def test_rows_that_change_all_the_time_are_read_a_limited_number_of_times(
    ingestion: FakeHyperline,
) -> None:
    """What was there all the time is found nevertheless."""
    names = put_many(ingestion, 250)
    other = body("x", START - 1)

    def come_or_go() -> None:
        if (SEATS, "x") in ingestion.store:
            del ingestion.store[SEATS, "x"]
            ingestion.rows.forget()
        else:
            put(ingestion, other)

    ingestion.rows.before_read = come_or_go
    window = WINDOW._replace(start=START - 1)

    assert {*names} <= {*ids(create_events(ingestion).read(window))}
    assert len(ingestion.reads) <= 20 * 4


def test_rows_that_are_counted_and_never_returned_are_an_error(
    ingestion: FakeHyperline, clock: Clock
) -> None:
    """Otherwise a row could be taken for missing."""
    began = clock.now
    ingestion.outage = FakeResponse(200, b'{"meta": {"total": 7}, "data": []}')

    with pytest.raises(HyperlineUnavailable, match="counts 7 events, but returns 0"):
        create_events(ingestion).read(WINDOW)

    assert clock.now - began < 1


def test_a_row_between_two_milliseconds_is_in_one_window(
    ingestion: FakeHyperline,
) -> None:
    """Another writer can post microseconds; they can be shown rounded."""
    late = body("m-1", START).replace(b"00:00:00.000Z", b"23:59:59.9996Z")
    put(ingestion, late, body("m-2", START + DAY))
    events = create_events(ingestion)
    next_day = WINDOW._replace(start=WINDOW.end, end=WINDOW.end + DAY)

    for ingestion.behaviour["microseconds"] in ("rounded down", "rounded"):
        assert [events.count(WINDOW), events.count(next_day)] == [1, 1]
        assert ids(events.read(WINDOW)) == ["m-1"]
        assert ids(events.read(next_day)) == ["m-2"]


def test_the_end_of_a_window_is_the_last_microsecond() -> None:
    """A row at the next millisecond isn't in it."""
    assert format_end(START) == "2025-12-31T23:59:59.999999Z"


ODD: list[dict[str, Any]] = [
    {"id": "evt_1", "record_id": 485},
    {"id": "evt_2", "record_id": None, "record": None},
    {"id": "evt_3", "record_id": ["x"], "record": {"id": 7}},
    {"id": "evt_4", "record_id": "m-9", "timestamp": "yesterday"},
    {"id": "evt_5", "record_id": "m-9", "timestamp": None, "customer_id": 3},
    {"id": "evt_6", "record": {"id": 7}, "customer_id": None},
    {"id": 7, "record_id": "\ud800"},
    {"record_id": "x" * 10_000, "record": "nothing"},
]


def test_another_host_is_reported(ingestion: FakeHyperline, clock: Clock) -> None:
    """Its response is no page."""
    assert clock.now
    ingestion.outage = FakeResponse(200, b'{"hello": "world"}')

    with pytest.raises(AccessError, match="isn't as documented: check that the host"):
        create_events(ingestion).count(WINDOW)


def test_an_odd_row_hides_no_others(ingestion: FakeHyperline) -> None:
    """One with an id or a time that we would never post, from another writer."""
    names = put_many(ingestion, 150)
    valid = {"event_type": SEATS, "timestamp": "2026-01-01T00:00:00.007Z"}
    for odd in ODD:
        ingestion.rows.odd.append(OddRow(SEATS, 1_000 * (START + 7), valid | odd))

    rows = create_events(ingestion).read(WINDOW)

    assert {*names} < {row.record_id for row in rows}
    assert len(rows) == 150 + len(ODD)


def test_an_odd_row_has_what_can_be_read() -> None:
    """What isn't text is JSON; SQLite and URLs can have it."""
    rows = [parse_row(odd) for odd in ODD]

    assert [row.record_id[:9] for row in rows] == [
        *("485", "null", '["x"]', "m-9", "m-9", "7", r"\ud800", "xxxxxxxxx")
    ]
    assert {row.time for row in rows} == {None}
    assert {row.customer for row in rows} == {None}
    assert [row.record for row in rows].count({}) == 6
    assert len({row.id for row in rows}) == len(ODD)


@pytest.mark.parametrize(
    "content",
    [
        *([], None, {}, {"meta": {}, "data": []}, {"meta": {"total": "1"}, "data": []}),
        *({"meta": {"total": 1}}, {"meta": {"total": 1}, "data": ["row"]}),
    ],
)
def test_another_response_is_no_page(content: Any) -> None:
    """It is never taken for a number of rows."""
    assert parse_page(content) is None


def row(**changes: Any) -> dict[str, Any]:
    """Return a row as documented."""
    return {
        "id": "evt_1",
        "event_type": SEATS,
        "timestamp": "2026-01-01T00:00:00.000Z",
        "customer_id": "cus_1",
        "record_id": "m-1",
        "record": {},
    } | changes


@pytest.mark.parametrize(
    "other",
    [
        {"event_type": "other"},
        {"timestamp": "2025-12-31T23:59:59.990Z"},
        {"timestamp": "2026-01-02T00:00:00.010Z"},
    ],
)
def test_rows_that_were_not_asked_for_are_never_used(
    ingestion: FakeHyperline, clock: Clock, other: dict[str, str]
) -> None:
    """Hyperline ignores parameters that it doesn't know, and returns other rows.

    That can't get better, so the command ends after a few seconds.
    """
    began = clock.now
    events = create_events(ingestion)
    events.count(WINDOW)
    page = {"meta": {"total": 2}, "data": [row(), row(**other)]}
    ingestion.outage = FakeResponse(200, json.dumps(page).encode())

    with pytest.raises(AccessError, match="other rows than those that were asked for"):
        events.read(WINDOW)

    assert clock.now - began < 10


def test_ids_that_were_not_asked_for_are_never_used(
    ingestion: FakeHyperline, clock: Clock
) -> None:
    """As above, for the filter by ids."""
    began = clock.now
    page = {"meta": {"total": 1}, "data": [row()]}
    ingestion.outage = FakeResponse(200, json.dumps(page).encode())
    events = create_events(ingestion)

    assert ids(events.find(SEATS, ["m-1"])) == ["m-1"]
    with pytest.raises(AccessError, match="other rows than those that were asked for"):
        events.find(SEATS, ["m-2", "m-11"])

    assert clock.now - began < 10


def test_events_are_found_by_their_ids(ingestion: FakeHyperline) -> None:
    """Whatever their times are."""
    names = put_many(ingestion, 300, distance=DAY)

    found = create_events(ingestion).find(SEATS, [*names[::2], "unknown"])

    assert ids(found) == names[::2]


@pytest.mark.parametrize(
    ("record_id", "is_found"),
    [
        *(("m-1", True), ("m:1", True), ("a b", True), ("\u20ac", True), ("%", True)),
        *(("", False), ("a,b", False), (" a", False), ("a\n", False)),
        *((r"\ud800", False), ("x" * 3_900, True), ("x" * 10_000, False)),
    ],
)
def test_some_ids_cannot_be_looked_up(
    ingestion: FakeHyperline,
    record_id: str,
    is_found: bool,  # noqa: FBT001 - a case
) -> None:
    """In a query, ids are separated by commas, and its length is limited."""
    assert can_find(record_id) == is_found
    if is_found:
        put(ingestion, body(record_id, START))
        assert ids(create_events(ingestion).find(SEATS, [record_id])) == [record_id]


@given(st.lists(st.text(max_size=900).filter(can_find), max_size=300))
@example([])
@example(["m" * 32] * 1_000)
@example(["\u20ac" * 400] * 10)
def test_queries_have_a_limited_length(record_ids: list[str]) -> None:
    """No id is left out, and a query has at most a page of them."""
    groups = list(fit_queries(record_ids))

    assert [record_id for group in groups for record_id in group] == record_ids
    assert all(1 <= len(group) <= 100 for group in groups)
    assert all(len(quote(",".join(group), safe="")) <= 4_000 for group in groups)


def test_events_are_deleted_by_their_ids(ingestion: FakeHyperline) -> None:
    """Whatever their types are; nothing else is deleted."""
    put_many(ingestion, 10)
    put(ingestion, body("m-00003", START, "Other"))

    create_events(ingestion).delete(["m-00003", "m-00005", "unknown"])

    deleted = {(SEATS, "m-00003"), ("Other", "m-00003"), (SEATS, "m-00005")}
    assert len(ingestion.store) == 8
    assert not deleted & ingestion.store.keys()
    (request,) = ingestion.requests
    assert json.loads(request.body)["matching"] == "record_ids"


def test_as_many_events_are_deleted_at_a_time_as_documented(
    ingestion: FakeHyperline,
) -> None:
    """One more would be an error."""
    names = put_many(ingestion, MAX_DELETED)

    create_events(ingestion).delete(names)

    assert not ingestion.store
    with pytest.raises(AccessError):
        create_events(ingestion).delete([*names, "one-more"])


@pytest.mark.parametrize("content", [b"", b"1", b'{"count": 1}', b"maintenance"])
def test_a_deletion_is_repeated_unless_hyperline_confirms_it(
    ingestion: FakeHyperline, clock: Clock, content: bytes
) -> None:
    """A page with the status 200 can be a proxy's; a repeated one has another count."""
    assert clock
    ingestion.respond(FakeResponse(200, content))

    create_events(ingestion).delete(["m-1"])

    assert len(ingestion.requests) == 1 + (content == b"maintenance")
