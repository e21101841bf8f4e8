"""The sums of the ledger are those of what Hyperline has, whatever differs."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local_stack.fake_hyperline import FakeHyperline, find_customer_id
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.rows import Row, read_milliseconds
from segment_to_hyperline.reconciliation.compare import Comparison
from segment_to_hyperline.reconciliation.evaluation import evaluate
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.header import Header, MappingVersion
from segment_to_hyperline.reconciliation.ledger import (
    DAY_LENGTH,
    MONTH_LENGTH,
    Entry,
    Ledger,
)
from segment_to_hyperline.reconciliation.reconcile import (
    Reconciliation,
    list_windows,
)
from tests.segment_to_hyperline.reconciliation.helpers import (
    DAY,
    SEATS,
    START,
    add_event,
    body,
    create_events,
    put,
)

END = START + 40 * DAY
HEADER = Header(
    *("host", "sandbox", "now", START, END, (MappingVersion("m", "1", "2"),)),
    *(1, 2, "3", "known"),
)
NAMES = ["a", "b", "c"]
KINDS = ["equal", "missing", "changed", "moved", "customer", "foreign", "copied"]
Planted = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        # When it was sent, and when Hyperline has it if it was moved; some outside.
        st.integers(-5, 45),
        st.integers(-5, 45),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
    ),
    max_size=15,
)
EVERYTHING = [
    (kind, day, other, "a", "b") for kind in KINDS for day, other in ((3, 0), (44, 3))
]


@pytest.fixture(scope="module")
def hyperline() -> Iterator[FakeHyperline]:
    """An ingestion API for all examples."""
    with FakeHyperline(rate_limit=1_000_000_000) as api:
        yield api


def plant(api: FakeHyperline, store: Store, number: int, planted: Any) -> None:
    """Add an event of this kind to the input, to Hyperline, or to both."""
    kind, day, other, customer, another = planted
    name, when = f"e-{number}", START + day * DAY + number
    event = body(name, when, customer=customer, seats=number)
    if kind != "foreign":
        add_event(store, name, event)
    match kind:
        case "missing":
            return
        case "changed":
            event = body(name, when, customer=customer, seats=0.1, more=number)
        case "moved":
            event = body(name, START + other * DAY, customer=customer, seats=number)
        case "customer":
            event = body(name, when, customer=another, seats=number)
        case "copied":
            api.rows.repeated.add(name)
    put(api, event)


def compare(api: FakeHyperline, store: Store) -> Reconciliation:
    """Return the comparison of everything, with known customers."""
    store.finish_input()
    ids = Customers({name: find_customer_id(name) for name in NAMES})
    comparison = Comparison(store, create_events(api), ids, 10_000)
    comparison.compare_all(list_windows(store, SEATS, START, END))
    comparison.confirm()
    return Reconciliation(
        *(START, END, [SEATS], store, comparison.customers, ""), [], is_complete=True
    )


def add_up(bodies: Any, length: int, copies: Any = ()) -> dict[tuple[str, str], Any]:
    """Return the number of events and the totals by period and customer."""
    sums: dict[tuple[str, str], Any] = defaultdict(Counter)
    for event in map(json.loads, bodies):
        total = sums[event["timestamp"][:length], event["customer_id"]]
        record = event["record"]
        for _ in range(2 if record["id"] in copies else 1):
            total["events"] += 1
            for name in {"seats", "more"} & record.keys():
                total[name] += Decimal(repr(record[name]))
    return {key: {n: v for n, v in total.items() if v} for key, total in sums.items()}


def is_inside(event: bytes) -> bool:
    """Return whether an event is in the compared time."""
    time = read_milliseconds(json.loads(event)["timestamp"])
    return time is not None and START <= time < END


def read_sums(entries: list[Entry], side: str) -> dict[tuple[str, str], Any]:
    """Return the same of a ledger."""
    sums = {}
    for entry in entries:
        found = getattr(entry, side)
        content = {"events": found.events, **found.totals}
        key = entry.group.period, entry.group.customer
        sums[key] = {name: value for name, value in content.items() if value}
    return {key: total for key, total in sums.items() if total}


@settings(max_examples=40)
@given(Planted, st.sampled_from([DAY_LENGTH, MONTH_LENGTH]))
@example(EVERYTHING, MONTH_LENGTH)
def test_sums_are_those_of_what_hyperline_has(
    hyperline: FakeHyperline, planted: Any, length: int
) -> None:
    """By day and month, under the customer and at the time that it has them."""
    hyperline.store.clear()
    hyperline.rows.repeated.clear()
    with Store() as store:
        for number, one in enumerate(planted, 1):
            plant(hyperline, store, number, one)
        hyperline.rows.forget()
        found = compare(hyperline, store)
        ledger = Ledger(found, HEADER, length, {})
        entries = list(ledger.entries())
        sent = {
            (event.event_type, event.record_id): event.body
            for event in store.expected()
            if START <= event.time < END
        }
        stored = {
            key: text
            for key, text in hyperline.store.items()
            if key in sent or is_inside(text)
        }

        groups = [entry.group for entry in entries]
        assert groups == sorted(set(groups))
        assert read_sums(entries, "sent") == add_up(sent.values(), length)
        billed = add_up(stored.values(), length, hyperline.rows.repeated)
        assert read_sums(entries, "billed") == billed
        missing = sum(k == "missing" and 0 <= day < 40 for k, day, *_ in planted)
        assert sum(entry.missing for entry in entries) == missing


def test_many_groups_and_properties_are_not_merged() -> None:
    """Finance must find each customer."""
    with Store() as store:
        for number in range(11_000):
            properties: dict[str, Any] = (
                {f"p{n}": n for n in range(60)} if number == 0 else {}
            )
            event = body(f"e-{number}", START, customer=f"c-{number}", **properties)
            add_event(store, f"e-{number}", event)
        store.finish_input()
        found = Reconciliation(
            *(START, END, [SEATS], store, Customers({}), ""), [], is_complete=True
        )
        entries = list(Ledger(found, HEADER, DAY_LENGTH, {}).entries())

    assert len(entries) == 11_000
    assert len(entries[0].sent.totals) == 61


def test_each_copy_is_billed_as_hyperline_has_it() -> None:
    """To its own customer, and with its own content."""
    with Store() as store:
        add_event(store, "e", body("e", START, customer="a", seats=3))
        store.finish_input()
        event = store.find(SEATS, "e")
        rows = [
            Row(f"evt_{n}", SEATS, "e", START, f"cus_{name}", {"id": "e", "seats": n})
            for n, name in ((300, "a"), (3, "a"), (1_000, "b"))
        ]
        known = Customers({"a": "cus_a", "b": "cus_b"})
        for finding in evaluate(event, rows, known, ""):
            store.add_finding(finding)
        found = Reconciliation(
            *(START, END, [SEATS], store, known, ""), [], is_complete=True
        )
        entries = list(Ledger(found, HEADER, DAY_LENGTH, {}).entries())

    sums = read_sums(entries, "billed")
    assert sums["2026-01-01", "a"] == {"events": 2, "seats": 303}
    assert sums["2026-01-01", "b"] == {"events": 1, "seats": 1_000}
