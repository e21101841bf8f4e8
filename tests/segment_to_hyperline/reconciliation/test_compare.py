"""A comparison finds what differs, and nothing else."""

import json
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from random import Random
from typing import Any

import pytest

from local_stack.fake_api import Ending, FakeResponse, Request
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline, OddRow, find_customer_id
from segment_to_hyperline.reconciliation.api.customers import Customers, find_customers
from segment_to_hyperline.reconciliation.api.rows import Window
from segment_to_hyperline.reconciliation.compare import (
    Comparison,
    TooManyDifferences,
    Total,
)
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.findings import (
    COPIED,
    DIFFERENT,
    FOREIGN,
    MISSING,
    SUPERSEDED,
    UNCHECKED,
    UNEXPECTED,
    UNMAPPED,
    Finding,
)
from tests.segment_to_hyperline.reconciliation.helpers import (
    DAY,
    SEATS,
    START,
    Clock,
    Outage,
    add_event,
    body,
    create_client,
    create_events,
    expect,
    put,
)

WINDOWS = [Window(SEATS, START + n * DAY, START + (n + 1) * DAY) for n in range(3)]
END = START + 3 * DAY
MOST = 10_000
type Findings = set[tuple[str, str, str]]
type Mode = Callable[[Comparison, Sequence[Window]], None]
ALL: Mode = Comparison.compare_all
COUNTS: Mode = Comparison.compare_counts
BOTH = pytest.mark.parametrize("mode", [ALL, COUNTS], ids=["all", "counts"])


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty store."""
    with Store() as store:
        yield store


def create_comparison(
    store: Store, api: FakeHyperline, customers: Customers | None = None, **options: Any
) -> Comparison:
    """Return a comparison; by default, no customer is known."""
    client = {n: options.pop(n) for n in ("report_wait",) if n in options}
    return Comparison(
        store,
        create_events(api, **client),
        customers or Customers({}),
        **({"most": MOST} | options),
    )


def compare(
    store: Store, api: FakeHyperline, mode: Mode, windows: Sequence[Window] = WINDOWS
) -> Findings:
    """Return what was found and confirmed: kinds, ids and origins."""
    store.finish_input()
    comparison = create_comparison(store, api)
    mode(comparison, windows)
    comparison.confirm()
    return summarize(store)


def summarize(store: Store) -> Findings:
    """Return the kinds, ids and origins of the findings."""
    return {(found.kind, found.record_id, found.origin) for found in store.findings()}


def find(store: Store, record_id: str, event_type: str = SEATS) -> Finding:
    """Return the only finding about an event."""
    key = event_type, record_id
    (found,) = (f for f in store.findings() if (f.event_type, f.record_id) == key)
    return found


def create(number: int, distance: int = 60_000, **changes: Any) -> list[bytes]:
    """Return events with a distance in milliseconds."""
    return [body(f"m-{n:05}", START + distance * n, **changes) for n in range(number)]


def times(number: int, text: bytes) -> bytes:
    """Return an event with another number of seats."""
    content = json.loads(text)
    content["record"]["seats"] = number
    return json.dumps(content).encode()


@BOTH
def test_equal_events_have_no_finding(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """Outside of the windows there can be anything."""
    events = create(1_000)
    expect(store, *events, body("before", START - 1), body("after", END))
    put(ingestion, *events, body("other", START - 1), body("another", END))

    assert compare(store, ingestion, mode) == set()


def test_equal_counts_need_few_requests(store: Store, ingestion: FakeHyperline) -> None:
    """One for each window, and one for each type."""
    events = create(4_000)
    expect(store, *events)
    put(ingestion, *events)

    assert compare(store, ingestion, COUNTS) == set()
    assert len(ingestion.reads) == 3 + 1


def test_contents_need_a_request_for_a_page(
    store: Store, ingestion: FakeHyperline
) -> None:
    """And one for each type."""
    events = create(4_000)
    expect(store, *events)
    put(ingestion, *events)

    assert compare(store, ingestion, ALL) == set()
    assert len(ingestion.reads) == 40 + 1


@BOTH
def test_missing_and_unexpected_events_are_found(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """Among thousands, on the same day too."""
    events = create(4_000)
    expect(store, *events)
    missing = [7, 8, 1_999]
    put(ingestion, *(e for n, e in enumerate(events) if n not in missing))
    put(ingestion, body("foreign", START + DAY - 1), body("late", END - 1))

    assert compare(store, ingestion, mode) == {
        *((MISSING, f"m-{n:05}", "") for n in missing),
        *((UNEXPECTED, name, FOREIGN) for name in ("foreign", "late")),
    }
    assert find(store, "m-00008") == Finding(
        MISSING, SEATS, "m-00008", START + 8 * 60_000, "customer-1"
    )


def test_counts_that_are_equal_hide_contents(
    store: Store, ingestion: FakeHyperline
) -> None:
    """Only a comparison of the contents finds what is different."""
    events = create(1_000)
    expect(store, *events)
    put(ingestion, *events, times(2, events[5]))

    assert compare(store, ingestion, COUNTS) == set()


def test_contents_are_compared(store: Store, ingestion: FakeHyperline) -> None:
    """With both values."""
    events = create(1_000)
    expect(store, *events)
    put(ingestion, *events, times(2, events[5]))

    assert compare(store, ingestion, ALL) == {(DIFFERENT, "m-00005", "")}
    assert find(store, "m-00005").details == {"record.seats": [1, 2]}


@BOTH
def test_without_windows_nothing_is_compared(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """And nothing is read."""
    expect(store, *create(10))

    assert compare(store, ingestion, mode, []) == set()
    assert ingestion.reads == []


# Borders


@BOTH
def test_an_event_that_was_moved_into_the_range_is_different(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """The input has it with a time outside, so it isn't unexpected."""
    expect(store, body("m-1", START - DAY), body("m-2", END))
    put(ingestion, body("m-1", START), body("m-2", END - 1))

    assert compare(store, ingestion, mode) == {
        (DIFFERENT, "m-1", ""),
        (DIFFERENT, "m-2", ""),
    }
    assert find(store, "m-2").details == {
        "timestamp": ["2026-01-04T00:00:00.000Z", "2026-01-03T23:59:59.999Z"]
    }


@BOTH
def test_an_event_that_was_moved_out_of_the_range_is_different(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """It is looked up by its id, so it isn't missing."""
    expect(store, body("m-1", START), body("m-2", END - 1))
    put(ingestion, body("m-1", START - 1), body("m-2", END + 9 * DAY))

    assert compare(store, ingestion, mode) == {
        (DIFFERENT, "m-1", ""),
        (DIFFERENT, "m-2", ""),
    }


@BOTH
def test_an_event_that_was_moved_to_another_day_is_different(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """It is one finding."""
    expect(store, body("m-1", START))
    put(ingestion, body("m-1", START + 2 * DAY))

    assert compare(store, ingestion, mode) == {(DIFFERENT, "m-1", "")}


@BOTH
@pytest.mark.parametrize("microseconds", ["rounded down", "rounded"])
def test_a_row_between_two_milliseconds_is_unexpected(
    store: Store,
    ingestion: FakeHyperline,
    mode: Mode,
    microseconds: str,
) -> None:
    """At the end of a day, and at the end of the range."""
    expect(store, body("m-1", START + DAY), body("m-2", END - 1))
    put(ingestion, body("m-1", START + DAY), body("m-2", END - 1))
    for name, day in (("x-1", b"2026-01-01"), ("x-2", b"2026-01-03")):
        text = body(name, START).replace(
            b"2026-01-01T00:00:00.000Z", day + b"T23:59:59.9996Z"
        )
        put(ingestion, text)
    ingestion.behaviour["microseconds"] = microseconds

    assert compare(store, ingestion, mode) == {
        (UNEXPECTED, "x-1", FOREIGN),
        (UNEXPECTED, "x-2", FOREIGN),
    }


@BOTH
def test_many_equal_times_in_an_unstable_order_are_compared(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """An import can have thousands of events at midnight."""
    events = create(2_500, distance=0)
    expect(store, *events)
    put(ingestion, *events[:-2], body("foreign", START))
    numbers = count()
    ingestion.rows.order_ties = lambda _: next(numbers)

    assert compare(store, ingestion, mode) == {
        *((MISSING, f"m-{n:05}", "") for n in (2_498, 2_499)),
        (UNEXPECTED, "foreign", FOREIGN),
    }


def odd(**changes: Any) -> OddRow:
    """Return a row that another writer has stored."""
    content = {
        "id": f"evt_{json.dumps(changes)}",
        "event_type": SEATS,
        "timestamp": "2026-01-01T00:00:00.007Z",
        "customer_id": "cus_1",
        "record_id": "x",
        "record": {},
    }
    return OddRow(SEATS, 1_000 * (START + 7), content | changes)


@BOTH
def test_odd_rows_are_unexpected_and_block_nothing(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """They stay findings, although Hyperline doesn't find some by their ids."""
    events = create(700)
    expect(store, *events)
    put(ingestion, *events[:-1])
    ingestion.rows.odd += [
        *(odd(record_id=485), odd(record_id=None), odd(record_id="a,b")),
        *(odd(record_id="\ud800"), odd(record_id="x" * 20_000), odd(record_id="")),
        *(odd(record_id=486, timestamp="yesterday"), odd(record_id="y", record=None)),
        odd(record_id="z", timestamp="yesterday"),
    ]

    found = compare(store, ingestion, mode)

    names = ("485", "null", "a,b", r"\ud800", "x" * 20_000, "", "486", "y", "z")
    assert found == {
        (MISSING, "m-00699", ""),
        *((UNEXPECTED, name, FOREIGN) for name in names),
    }


@BOTH
@pytest.mark.parametrize("name", ["a,b", " a", ""])
def test_an_event_that_cannot_be_looked_up_is_unchecked(
    store: Store, ingestion: FakeHyperline, mode: Mode, name: str
) -> None:
    """It wasn't found at its time, and it can be at another one."""
    expect(store, body(name, START), body("b", START))
    put(ingestion, body(name, START + 9 * DAY), body("b", START))

    assert compare(store, ingestion, mode) == {(UNCHECKED, name, "")}


@BOTH
def test_an_event_that_cannot_be_looked_up_is_found_by_its_time(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """Before it is reported."""
    expect(store, body("a,b", START), body("c,d", START + 1))
    put(ingestion, times(3, body("a,b", START)))
    store.finish_input()
    comparison = create_comparison(store, ingestion)
    mode(comparison, WINDOWS)

    put(ingestion, body("c,d", START + 1))
    comparison.confirm()

    assert summarize(store) <= {(DIFFERENT, "a,b", "")}
    assert mode is COUNTS or summarize(store)


# Versions


@BOTH
def test_an_earlier_version_at_hyperline_is_found(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """Also by count, where something missing makes up for it."""
    events = create(1_000)
    expect(store, *events)
    removed = body("m-x:1", START + 5)
    add_event(store, "m-x", body("m-x:0", START), removed, received_at=1)
    add_event(store, "m-x", body("m-x:0", START), received_at=2)
    filtered = body("m-y", START + 6, "Other")
    add_event(store, "m-y", filtered, received_at=1)
    add_event(store, "m-y", received_at=2, outcome="filtered")
    expect(store, body("m-z", START, "Other"))
    put(ingestion, body("m-x:0", START), removed, filtered, *events[:-1])
    other = WINDOWS[0]._replace(event_type="Other")

    found = compare(store, ingestion, mode, [*WINDOWS, other])

    assert {
        *((UNEXPECTED, "m-x:1", SUPERSEDED), (UNEXPECTED, "m-y", SUPERSEDED)),
        *({(MISSING, "m-00999", ""), (MISSING, "m-z", "")} if mode is ALL else ()),
    } == found


@BOTH
def test_an_earlier_version_is_only_found_in_the_range(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """Or if it isn't at Hyperline any more, not at all."""
    for name, time in (("m-1", END), ("m-2", START), ("m,3", START + 1)):
        add_event(store, name, body(name, time), received_at=1)
        add_event(store, name, received_at=2, outcome="filtered")
    put(ingestion, body("m-1", END), body("m,3", START + 1))

    assert compare(store, ingestion, mode) == {(UNEXPECTED, "m,3", SUPERSEDED)}


def test_the_origin_of_a_row_is_found(store: Store, ingestion: FakeHyperline) -> None:
    """Only what follows from the input may be deleted."""
    expect(store, body("m-1", START), body("m-2:0", START))
    add_event(store, "m-3", outcome="filtered")
    put(ingestion, body("m-1", START), body("m-2:0", START))
    names = ("m-1:0", "m-2", "m-2:1", "m-3", "m-3:7", "m-3:x", "m-4", "m-4:0")
    put(ingestion, *(body(name, START) for name in names))

    assert compare(store, ingestion, ALL) == {
        *((UNEXPECTED, name, UNMAPPED) for name in names[:5]),
        *((UNEXPECTED, name, FOREIGN) for name in names[5:]),
    }


@BOTH
def test_an_event_that_is_stored_twice_is_unexpected(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """It would be billed twice."""
    events = create(1_000)
    expect(store, *events)
    put(ingestion, *events)
    ingestion.rows.repeated.add("m-00007")

    assert compare(store, ingestion, mode) == {(UNEXPECTED, "m-00007", COPIED)}


# What changes meanwhile


@BOTH
def test_every_finding_is_looked_up_again(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """Events are delivered, corrected and deleted while a comparison runs."""
    events = create(1_000)
    expect(store, *events)
    put(ingestion, *events[10:-10], body("x-1", START), body("x-2", START))
    put(ingestion, times(2, events[20]), times(2, events[21]))
    store.finish_input()
    comparison = create_comparison(store, ingestion)
    mode(comparison, WINDOWS)
    before = summarize(store)

    put(ingestion, *events[:9], times(9, events[-1]), events[20])
    put(ingestion, body("x-1", START + 5 * DAY))
    del ingestion.store[SEATS, "x-2"]
    comparison.confirm()

    assert len([kind for kind, *_ in before if kind == MISSING]) == 20
    missing = {f"m-{n:05}" for n in (9, *range(990, 999))}
    assert summarize(store) == {
        *((MISSING, name, "") for name in missing),
        (DIFFERENT, "m-00999", ""),
        *({(DIFFERENT, "m-00021", "")} & before),
    }


def test_a_different_event_can_vanish_and_leave_the_range(
    store: Store, ingestion: FakeHyperline
) -> None:
    """It is missing then, but only in the range."""
    expect(store, body("m-1", START), body("m-2", END), body("m-3", END))
    put(ingestion, *(times(2, body(f"m-{n}", START)) for n in (1, 2, 3)))
    store.finish_input()
    comparison = create_comparison(store, ingestion)
    comparison.compare_all(WINDOWS)
    assert len(summarize(store)) == 3

    del ingestion.store[SEATS, "m-1"], ingestion.store[SEATS, "m-2"]
    put(ingestion, body("m-3", END))
    comparison.confirm()

    assert summarize(store) == {(MISSING, "m-1", "")}


@BOTH
def test_rows_that_change_while_they_are_read_are_no_findings(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """Events are delivered all the time, in any order."""
    events = create(1_500)
    expect(store, *events)
    late = [events[n] for n in Random(1).sample(range(1_500), 200)]
    put(
        ingestion, *(event for event in events if event not in late), body("x", END - 1)
    )

    def deliver() -> None:
        for _ in range(5):
            if late:
                put(ingestion, late.pop())

    ingestion.rows.before_read = deliver
    store.finish_input()
    comparison = create_comparison(store, ingestion)
    mode(comparison, WINDOWS)
    put(ingestion, *late)
    comparison.confirm()

    assert summarize(store) == {(UNEXPECTED, "x", FOREIGN)}


# Failures of Hyperline


class FailingHyperline(FakeHyperline):
    """An ingestion API that fails at random, half of the time."""

    def __init__(self) -> None:
        super().__init__(rate_limit=1_000_000)
        self.random = Random(1)
        self.failures = [
            *(FakeResponse(429), FakeResponse(503)),
            FakeResponse(200, b'{"meta"', ending=Ending.TRUNCATED),
            FakeResponse(200, b'{"meta"'),
            FakeResponse(502, b"<html>"),
        ]

    def handle(self, request: Request) -> FakeResponse:
        """Return a response."""
        if self.random.random() < 0.5:
            return self.random.choice(self.failures)
        return super().handle(request)


@BOTH
def test_failures_change_nothing(store: Store, clock: Clock, mode: Mode) -> None:
    """Half of the requests fail, and there is an outage of four minutes."""
    events = create(3_000)
    expect(store, *events)
    with FailingHyperline() as api:
        put(api, *events[:500], *events[501:], body("x", END - 1))
        store.finish_input()
        outage = Outage(api, clock, 240)
        comparison = create_comparison(store, api, report_wait=outage.report)
        outage.begin(FakeResponse(500))
        mode(comparison, WINDOWS)
        outage.begin(FakeResponse(429))
        comparison.confirm()

    assert summarize(store) == {(MISSING, "m-00500", ""), (UNEXPECTED, "x", FOREIGN)}
    assert "server error (503)" in outage.reasons


# Customers


def test_a_wrong_customer_is_found_by_the_core_api(
    store: Store, ingestion: FakeHyperline, core_api: FakeCoreApi
) -> None:
    """Also if it is the only event of its customer."""
    names = [f"customer-{n}" for n in range(5)]
    events = [body(f"m-{n}", START + n, customer=names[n % 5]) for n in range(500)]
    for name in names:
        core_api.add_customer(find_customer_id(name), name)
    core_api.add_customer("cus_single", "single")
    expect(store, *events, body("m-x", START, customer="single"))
    put(ingestion, *events, body("m-x", START, customer="customer-1"))
    ingestion.rows.customers["m-7"] = "cus_other"
    ingestion.rows.customers["m-8"] = None
    store.finish_input()
    customers = find_customers(create_client(core_api), store.customers())

    comparison = create_comparison(store, ingestion, customers)
    comparison.compare_all(WINDOWS)
    comparison.confirm()

    assert summarize(store) == {(DIFFERENT, n, "") for n in ("m-7", "m-8", "m-x")}
    own = find_customer_id("customer-1")
    assert find(store, "m-x").details == {"customer_id": ["cus_single", own]}
    assert comparison.customers.find_name(own) == "customer-1"
    assert comparison.customers.inferred == set()


def test_a_wrong_customer_is_found_by_inference(
    store: Store, ingestion: FakeHyperline
) -> None:
    """Where the key may not read the customers, the only event of one is found too."""
    events = [
        body(f"m-{n}", START + n * 1_000, customer=f"customer-{n % 5}")
        for n in range(500)
    ]
    expect(store, *events, body("m-x", START, customer="single"))
    put(ingestion, *events, body("m-x", START, customer="customer-1"))
    for name, customer in (("m-1", "customer-2"), ("m-7", "other"), ("m-8", "other")):
        ingestion.rows.customers[name] = find_customer_id(customer)
    store.finish_input()
    comparison = create_comparison(store, ingestion)

    comparison.compare_all(WINDOWS)
    comparison.confirm()

    assert summarize(store) == {
        (DIFFERENT, name, "") for name in ("m-1", "m-7", "m-8", "m-x")
    }
    assert find(store, "m-1").details == {
        "customer_id": [find_customer_id("customer-1"), find_customer_id("customer-2")]
    }
    assert find(store, "m-x").details == {
        "customer_id": ["single", find_customer_id("customer-1")]
    }
    assert comparison.customers.inferred == {f"customer-{n}" for n in range(5)}


def test_a_wrong_customer_is_looked_up_again(
    store: Store, ingestion: FakeHyperline
) -> None:
    """It can have been corrected."""
    events = create(10)
    expect(store, *events)
    put(ingestion, *events)
    ingestion.rows.customers["m-00001"] = "cus_x"
    store.finish_input()
    comparison = create_comparison(store, ingestion)
    comparison.compare_all(WINDOWS)

    del ingestion.rows.customers["m-00001"]
    comparison.confirm()

    assert summarize(store) == set()


# Limits


@BOTH
def test_too_many_differences_end_the_comparison(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """The totals are known, and nothing is read if they suffice to tell."""
    expect(store, *create(10))
    put(ingestion, *create(5_000))
    store.finish_input()
    comparison = create_comparison(store, ingestion, most=1_000)

    with pytest.raises(TooManyDifferences):
        mode(comparison, WINDOWS)

    assert comparison.count_events() == [Total(SEATS, 10, 4_320)]
    assert len(ingestion.reads) == 1


@BOTH
def test_too_many_differences_that_make_up_for_each_other_end_it_too(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """Those found so far are listed."""
    expect(store, *create(2_000, distance=1))
    put(ingestion, *(body(f"x-{n}", START + DAY + n) for n in range(2_000)))
    store.finish_input()
    comparison = create_comparison(store, ingestion, most=1_000)

    with pytest.raises(TooManyDifferences):
        mode(comparison, WINDOWS)

    assert comparison.count_events() == [Total(SEATS, 2_000, 2_000)]
    assert sum(store.count_findings().values()) == 1_000


@BOTH
def test_rows_that_are_too_many_are_not_read(
    store: Store, ingestion: FakeHyperline, mode: Mode
) -> None:
    """They could be too many for the memory, at one time of another writer."""
    expect(store, *(body(f"m-{n}", START + DAY + n) for n in range(5_000)))
    put(ingestion, *(body(f"x-{n}", START) for n in range(5_000)))
    store.finish_input()
    comparison = create_comparison(store, ingestion, most=1_000)

    with pytest.raises(TooManyDifferences):
        mode(comparison, WINDOWS)

    assert comparison.count_events() == [Total(SEATS, 5_000, 5_000)]
    pages = [path for path in ingestion.reads if "&skip=" in path]
    assert all(path.endswith("&skip=0") for path in pages)


def test_as_many_differences_as_allowed_are_listed(
    store: Store, ingestion: FakeHyperline
) -> None:
    """One more would be too many."""
    expect(store, *create(10))
    store.finish_input()
    comparison = create_comparison(store, ingestion, most=10)

    comparison.compare_all(WINDOWS)
    comparison.confirm()

    assert len(summarize(store)) == 10


def test_memory_does_not_grow_with_the_events(
    store: Store, ingestion: FakeHyperline
) -> None:
    """Each window is forgotten when it is compared."""
    sizes: list[int] = []
    for number in (2_000, 20_000):
        events = create(number, distance=1_000)
        put(ingestion, *events)
        expect(store, *events)
    store.finish_input()

    for number in (2_000, 20_000):
        window = [Window(SEATS, START, START + 1_000 * number)]
        comparison = create_comparison(store, ingestion)
        tracemalloc.start()
        comparison.compare_all(window)
        sizes.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert sizes[1] < 2 * sizes[0] + 20_000_000


# Progress


def test_progress_is_reported_for_each_phase(
    store: Store, ingestion: FakeHyperline
) -> None:
    """It ends with what there is to do."""
    events = create(4_000)
    expect(store, *events)
    put(ingestion, *events[1:])
    store.finish_input()
    reports: list[tuple[str, int, int]] = []

    def report(*progress: Any) -> None:
        reports.append(progress)

    for mode in (COUNTS, ALL):
        comparison = create_comparison(store, ingestion, report=report)
        mode(comparison, WINDOWS)
        comparison.confirm()

    last = {phase: (done, total) for phase, done, total in reports}
    assert all(done == total for done, total in last.values())
    assert last["comparing"] == (4_000, 4_000)
    assert last["looking up the differences again"] == (1, 1)
    assert len(last) == 3
    assert all(done <= total for _, done, total in reports)
