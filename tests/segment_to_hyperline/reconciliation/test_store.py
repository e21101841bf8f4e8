"""The input says what Hyperline should have: the last version of each event."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_to_hyperline.reconciliation.api.rows import Window
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.expected.versions import Version
from segment_to_hyperline.reconciliation.findings import Finding
from tests.segment_to_hyperline.reconciliation.helpers import (
    DAY,
    SEATS,
    START,
    add_event,
    body,
    create_billable,
    expect,
)


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty store."""
    with Store() as store:
        yield store


def bodies(store: Store) -> set[bytes]:
    """Return what is expected."""
    return {event.body for event in store.expected()}


def superseded(store: Store) -> set[tuple[str, str]]:
    """Return the types and ids of what only earlier versions have."""
    types = store.event_types()
    return {(name, i) for name in types for i in store.superseded(name)}


def item(number: int, seats: int = 1, event_type: str = SEATS) -> bytes:
    """Return a line item of the event m-1."""
    return body(f"m-1:{number}", START + number, event_type, seats=seats)


OLD: dict[str, Any] = {"received_at": 1}
NEW: dict[str, Any] = {"received_at": 2}


@pytest.mark.parametrize("is_new_first", [False, True])
def test_the_version_that_was_received_last_counts(
    store: Store,
    is_new_first: bool,  # noqa: FBT001 - a case
) -> None:
    """Whatever the order of the files is."""
    versions: list[Any] = [(item(0, 1), OLD), (item(0, 2), NEW)]
    for sequence, (text, options) in enumerate(versions[:: -1 if is_new_first else 1]):
        add_event(store, "m-1", text, sequence=sequence, **options)
    store.finish_input()

    assert bodies(store) == {item(0, 2)}
    assert superseded(store) == set()
    assert list(store.duplicates()) == [("m-1", 2)]


def test_of_versions_received_at_the_same_time_the_last_one_counts(
    store: Store,
) -> None:
    """In the order of the input; a time that is unknown is the earliest."""
    add_event(store, "m-1", item(0, 1), received_at=5, sequence=1)
    add_event(store, "m-1", item(0, 2), received_at=5, sequence=3)
    add_event(store, "m-1", item(0, 3), received_at=5, sequence=2)
    add_event(store, "m-1", item(0, 4), received_at=0, sequence=4)
    store.finish_input()

    assert bodies(store) == {item(0, 2)}
    assert list(store.duplicates()) == [("m-1", 4)]


@pytest.mark.parametrize("is_new_first", [False, True])
def test_what_a_correction_removes_is_superseded(
    store: Store,
    is_new_first: bool,  # noqa: FBT001 - a case
) -> None:
    """A version counts as a whole, not for each of its line items."""
    versions: list[Any] = [
        ((item(0), item(1), item(2), item(3, event_type="Old")), OLD),
        ((item(0, 5), item(2), item(3, event_type="New")), NEW),
    ]
    for texts, options in versions[:: -1 if is_new_first else 1]:
        add_event(store, "m-1", *texts, **options)
    add_event(store, "m-2", body("m-2", START))
    store.finish_input()

    assert bodies(store) == {
        *(item(0, 5), item(2), item(3, event_type="New")),
        body("m-2", START),
    }
    assert superseded(store) == {(SEATS, "m-1:1"), ("Old", "m-1:3")}
    assert store.is_superseded(SEATS, "m-1:1")
    assert not store.is_superseded(SEATS, "m-1:0")
    assert store.superseded(SEATS) == {"m-1:1": START + 1}


@pytest.mark.parametrize("outcome", ["filtered", "quarantined"])
@pytest.mark.parametrize("is_new_first", [False, True])
def test_a_last_version_that_is_not_billed_supersedes_everything(
    store: Store,
    outcome: str,
    is_new_first: bool,  # noqa: FBT001 - a case
) -> None:
    """What was billed before remains at Hyperline, and isn't expected there."""
    versions: list[Any] = [
        ((item(0), item(1)), OLD),
        ((), NEW | {"outcome": outcome}),
    ]
    for texts, options in versions[:: -1 if is_new_first else 1]:
        add_event(store, "m-1", *texts, **options)
    store.finish_input()

    assert bodies(store) == set()
    assert superseded(store) == {(SEATS, "m-1:0"), (SEATS, "m-1:1")}
    assert store.event_types() == [SEATS]
    assert list(store.unbilled(START, START + 1)) == [(outcome, "", "2026-01-01", 1)]


def test_a_version_that_bills_again_supersedes_nothing(store: Store) -> None:
    """The last one has everything."""
    add_event(store, "m-1", item(0), **OLD)
    add_event(store, "m-1", outcome="filtered", **NEW)
    add_event(store, "m-1", item(0), received_at=3)
    store.finish_input()

    assert bodies(store) == {item(0)}
    assert superseded(store) == set()
    assert list(store.unbilled(START, START + 1)) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.integers(0, 3),
            st.sets(st.integers(0, 3)),
        )
    ),
    st.integers(1, 5),
)
def test_versions_count_as_if_they_were_sorted(
    events: list[tuple[str, int, set[int]]], length: int
) -> None:
    """In whatever chunks they are added."""
    versions, billable = [], []
    for sequence, (name, received_at, items) in enumerate(events):
        versions.append(Version(name, received_at, sequence, START, "billed", ""))
        texts = [body(f"{name}:{i}", START, seats=sequence) for i in sorted(items)]
        billable += [create_billable(t, name, received_at, sequence) for t in texts]
    with Store() as store:
        for start in range(0, len(versions), length):
            chunk = versions[start : start + length]
            numbers = {version.sequence for version in chunk}
            store.add(chunk, [b for b in billable if b.sequence in numbers])
        store.finish_input()
        found = bodies(store), superseded(store)

    last = {v.message_id: v for v in sorted(versions, key=lambda v: v[1:3])}
    wanted = {
        b.record_id: b.body for b in billable if b[3:5] == last[b.message_id][1:3]
    }
    every = {b.record_id for b in billable}
    removed = {(SEATS, name) for name in every - wanted.keys()}
    assert found == ({*wanted.values()}, removed)


def test_only_what_is_in_the_range_counts_as_not_billed(store: Store) -> None:
    """And what has no time; with the day, the outcome and the reason."""
    for number, time in enumerate((START - 1, START, START + DAY - 1, START + DAY, 0)):
        store.add([Version(f"m-{number}", 0, number, time, "filtered", "no rule")], [])
    store.finish_input()

    assert list(store.unbilled(START, START + DAY)) == [
        ("filtered", "no rule", "", 1),
        ("filtered", "no rule", "2026-01-01", 2),
    ]


def test_expected_events_are_found_by_time_and_id(store: Store) -> None:
    """A window ends before its end."""
    expect(store, *(body(f"m-{n}", START + n * DAY) for n in range(3)))
    expect(store, body("m-9", START, "Other", customer="customer-2"))
    store.finish_input()
    window = Window(SEATS, START, START + 2 * DAY)

    assert store.count(window) == 2
    assert set(store.expected_in(window)) == {"m-0", "m-1"}
    found = store.find("Other", "m-9")
    assert found
    assert (found.customer, found.time) == ("customer-2", START)
    assert store.find(SEATS, "m-9") is None
    assert store.find_outcome("m-9") == "billed"
    assert store.find_outcome("m-10") is None
    assert store.event_types() == ["Other", SEATS]
    assert sorted(store.customers()) == ["customer-1", "customer-2"]
    assert store.time_range() == (START, START + 2 * DAY)
    assert store.days(SEATS, DAY) == [START, START + DAY, START + 2 * DAY]


def test_an_empty_input_has_no_range(store: Store) -> None:
    """Nor event types."""
    store.finish_input()

    assert store.time_range() is None
    assert store.event_types() == store.customers() == store.unreadable() == []


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 7))
def test_a_window_is_split_without_gaps(times: list[int], number: int) -> None:
    """A part has at most so many events, unless they have the same time."""
    window = Window(SEATS, START - 3, START + 38)
    with Store() as store:
        expect(store, *(body(f"m-{n}", START + t) for n, t in enumerate(times)))
        store.finish_input()
        parts = list(store.split(window, number))
        counts = [store.count(part) for part in parts]

    assert (parts[0].start, parts[-1].end) == (window.start, window.end)
    assert [part.end for part in parts[:-1]] == [part.start for part in parts[1:]]
    for part, count in zip(parts, counts, strict=True):
        assert part.start < part.end
        assert count <= number or part.end == part.start + 1


def test_siblings_are_all_line_items_of_an_event(store: Store) -> None:
    """Whatever their types are."""
    add_event(store, "m-1", item(0), item(1, event_type="Other"))
    add_event(store, "m-2", body("m-2", START))
    store.finish_input()

    for _ in range(2):
        siblings = store.siblings("m-1")
        assert [event.record_id for event in siblings] == ["m-1:1", "m-1:0"]
    assert store.siblings("m-3") == []


def test_found_customers_are_counted(store: Store) -> None:
    """What is found again replaces what was found before."""
    expect(
        store, *(body(f"m-{n}", START, customer=f"customer-{n % 2}") for n in range(5))
    )
    store.finish_input()
    numbers = [event.number for event in store.expected()]

    store.add_found([(number, "cus_x") for number in numbers])
    store.add_found([(numbers[0], "cus_y")])

    pairs = store.found_customers()
    assert sorted(pairs) == [
        *(("customer-0", "cus_x", 2), ("customer-0", "cus_y", 1)),
        ("customer-1", "cus_x", 2),
    ]
    for _ in range(2):
        (event,) = store.events_under([("customer-0", "cus_y"), ("none", "cus_x")])
        assert event.record_id == "m-0"


def test_text_that_sqlite_cannot_store_is_escaped(store: Store) -> None:
    """A lone surrogate is valid in JSON."""
    text = body("m-\ud800", START, "\udfff", customer="\ud800\u20ac")
    add_event(store, "m-\ud800", text, outcome="\ud800")
    store.add_unreadable("\ud800")
    store.finish_input()

    (event,) = store.expected()
    assert (event.event_type, event.record_id) == (r"\udfff", r"m-\ud800")
    assert event.customer == "\\ud800\u20ac"
    assert store.find_outcome(r"m-\ud800") is not None
    assert store.unreadable() == [r"\ud800"]


def finding(kind: str, record_id: str, time: int = START) -> Finding:
    """Return a difference."""
    return Finding(kind, SEATS, record_id, time, "c", "o", {"record.x": [1, "\ud800"]})


def test_differences_are_sorted_and_replaced(store: Store) -> None:
    """An event can have one of each kind."""
    late, early = finding("missing", "a", 9), finding("missing", "b", 1)
    copied = finding("unexpected", "a")
    for added in (late._replace(time=8), copied, late, early):
        store.add_finding(added)

    assert list(store.findings()) == [early, late, copied]
    assert store.count_findings() == {"missing": 2, "unexpected": 1}
    of_a = [each for each in store.findings() if each.record_id == "a"]
    assert of_a == [late, copied]
    store.remove_findings(SEATS, "a")
    assert list(store.findings()) == [early]


@pytest.mark.parametrize("number", [1, 2, 3, 100])
def test_differences_are_read_in_parts(store: Store, number: int) -> None:
    """Those of an event are never in two parts."""
    for position in range(10):
        store.add_finding(finding("different", f"m-{position}"))
        store.add_finding(finding("unexpected", f"m-{position}"))
    parts: list[list[Finding]] = []
    last = ("", "")

    while part := store.findings_after(*last, number):
        parts.append(part)
        last = part[-1].event_type, part[-1].record_id

    ids = [{f.record_id for f in part} for part in parts]
    assert sum(map(len, ids)) == 10
    assert sum(map(len, parts)) == 20
    assert all(len(part) <= number + 2 for part in parts)


FILL = """
import time
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.expected.versions import Billable

store = Store()
names = [f"m-{number}" for number in range(100_000)]
store.add([], [Billable("t", n, n, 0, 0, 1, "c", b"secret" * 100) for n in names])
print("filled", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_of_a_customer_remains_on_the_disk(tmp_path: Path, number: int) -> None:
    """Also while it runs, nobody else can read it, because the file has no name."""
    with subprocess.Popen(
        [sys.executable, "-c", FILL],
        env=os.environ | {"TMPDIR": str(tmp_path), "SQLITE_TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"filled\n"
        files = list(Path(f"/proc/{process.pid}/fd").iterdir())
        targets = [str(file.readlink()) for file in files]
        process.send_signal(number)

    temporary = [target for target in targets if target.startswith(str(tmp_path))]
    assert temporary
    assert all(target.endswith("(deleted)") for target in temporary)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_store_is_gone(store: Store) -> None:
    """Its events can't be read any more."""
    store.close()

    with pytest.raises(sqlite3.ProgrammingError):
        store.event_types()


def test_the_order_of_ids_does_not_matter(store: Store) -> None:
    """Segment's ids are random."""
    random = Random(1)
    names = [f"{random.getrandbits(128):032x}" for _ in range(1_000)]
    expect(store, *(body(name, START + n) for n, name in enumerate(names)))
    store.finish_input()

    assert [event.record_id for event in store.expected()] == names
    assert list(store.expected_in(Window(SEATS, START, START + DAY))) == names
