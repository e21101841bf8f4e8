"""A mapping that was changed: what was right then is right, and nothing else is."""

import json
from pathlib import Path
from typing import Any

import pytest

from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline, find_customer_id
from local_stack.segment_requests import write
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.file import load_rules
from tests.segment_to_hyperline.reconciliation.planted import Run, compare, event

FIRST = """
[[rules]]
type = "track"
event = "Seats Added"
customer_id = "userId"
event_type = "'Seats'"
timestamp = "timestamp"
record = { seats = "properties.seats" }
"""
# Since 2026-01-01T00:10Z, seats are billed under another type, and two at a time.
SECOND = FIRST.replace("'Seats'", "'Places'")
EACH = """
[[rules]]
type = "track"
event = "Order"
each = "{}"
customer_id = "userId"
event_type = "event"
timestamp = "timestamp"
record = {{ "*" = "item" }}
"""
SINCE = "2026-01-01T00:10:00Z"
EVENTS = [event(number) for number in range(0, 20, 2)]
DAY = "--deep", "--from", "2026-01-01", "--to", "2026-01-02"


class Month:
    """Events, two mappings, and what each of them bills."""

    def __init__(self, folder: Path, hyperline: FakeHyperline, run: Run) -> None:
        self.first, self.second = folder / "first.toml", folder / "second.toml"
        self.first.write_text(FIRST)
        self.second.write_text(SECOND)
        self.archive = folder / "events.ndjson"
        self.archive.write_text("".join(write(each) + "\n" for each in EVENTS))
        hyperline.store.clear()
        self.hyperline = hyperline
        self._run = run

    def bill(self, mapping: Path, *numbers: int) -> None:
        """Store what a mapping makes of events."""
        for number in numbers:
            self.bill_event(mapping, event(number))

    def bill_event(self, mapping: Path, each: dict[str, Any]) -> None:
        """Store what a mapping makes of an event."""
        for billable in apply_rules(load_rules(mapping), each):
            key = tuple(billable.key)
            self.hyperline.store[key] = billable.json  # type: ignore[index] # a key has two strings
        self.hyperline.rows.forget()

    def compare(self, *options: str, since: str = SINCE) -> dict[str, Any]:
        """Return the result of comparing with both mappings."""
        mappings = "--mapping", str(self.first), "--mapping-since", since
        return compare(
            self._run, self.archive, *mappings, str(self.second), *DAY, *options
        )


@pytest.fixture
def month(tmp_path: Path, hyperline: FakeHyperline, run: Run) -> Month:
    """The events were billed by the mapping of their time."""
    month = Month(tmp_path, hyperline, run)
    month.bill(month.first, 0, 2, 4, 6, 8)
    month.bill(month.second, 10, 12, 14, 16, 18)
    return month


def summarize(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the kinds, types and ids of the differences."""
    names = ("kind", "event_type", "record_id")
    return sorted(tuple(f[name] for name in names) for f in result["findings"])


def test_each_event_is_mapped_as_it_was_then(month: Month) -> None:
    """A change of the mapping is no difference."""
    result = month.compare()

    assert result["matches"]
    assert [(t["event_type"], t["expected"]) for t in result["totals"]] == [
        ("Places", 5),
        ("Seats", 5),
    ]
    assert [mapping["since"] for mapping in result["mappings"]] == [
        "",
        "2026-01-01T00:10:00.000Z",
    ]


def test_an_event_that_was_billed_later_has_the_later_mapping(month: Month) -> None:
    """It waited in a queue, and the numbers of both types are right."""
    del month.hyperline.store["Seats", "m-8"]
    month.bill(month.second, 8)

    result = month.compare()

    assert result["matches"], result["findings"]
    assert [(t["event_type"], t["expected"]) for t in result["totals"]] == [
        ("Places", 6),
        ("Seats", 4),
    ]


def test_an_earlier_mapping_is_wrong_later(month: Month) -> None:
    """The event was received after the change."""
    del month.hyperline.store["Places", "m-10"]
    month.bill(month.first, 10)

    assert summarize(month.compare()) == [
        ("missing", "Places", "m-10"),
        ("unexpected", "Seats", "m-10"),
    ]


def test_an_event_that_is_billed_by_both_mappings_is_reported(month: Month) -> None:
    """It is billed twice, under two types."""
    month.bill(month.second, 8)

    assert summarize(month.compare()) == [("unexpected", "Places", "m-8")]


def test_an_event_that_no_mapping_billed_is_missing(month: Month) -> None:
    """Under the type of its time."""
    del month.hyperline.store["Seats", "m-8"]
    month.hyperline.rows.forget()

    assert summarize(month.compare()) == [("missing", "Seats", "m-8")]


@pytest.mark.parametrize("change", [{"record": {"id": "m-8", "seats": 99}}, {}])
def test_what_a_later_mapping_billed_must_be_right(
    month: Month, change: dict[str, Any]
) -> None:
    """In all its fields."""
    del month.hyperline.store["Seats", "m-8"]
    month.bill(month.second, 8)
    key = "Places", "m-8"
    content = json.loads(month.hyperline.store[key]) | change
    month.hyperline.store[key] = json.dumps(content).encode()
    month.hyperline.rows.forget()

    assert bool(summarize(month.compare())) == bool(change)


def test_a_mapping_that_bills_nothing_any_more_excuses_no_loss(month: Month) -> None:
    """The event should have been billed when it was received."""
    month.second.write_text(SECOND.replace("Seats Added", "Another Event"))
    for number in (10, 12, 14, 16, 18):
        del month.hyperline.store["Places", f"m-{number}"]
    del month.hyperline.store["Seats", "m-8"]
    month.hyperline.rows.forget()

    assert summarize(month.compare()) == [("missing", "Seats", "m-8")]


def test_an_event_that_only_a_later_mapping_bills_can_be_billed_or_not(
    month: Month,
) -> None:
    """The earlier one ignored or rejected it, and a redrive may have billed it."""
    month.first.write_text(FIRST.replace("Seats Added", "Another Event"))
    for number in (0, 2, 4, 6, 8):
        del month.hyperline.store["Seats", f"m-{number}"]
    month.bill(month.second, 4)

    result = month.compare()

    assert result["matches"]
    assert result["expected"] == 6
    assert sum(reason["events"] for reason in result["not_billable"]) == 4


def test_a_mapping_that_is_not_deployed_yet_has_billed_nothing(month: Month) -> None:
    """Its result is wrong, although it is complete."""
    del month.hyperline.store["Seats", "m-8"]
    month.bill(month.second, 8)

    result = month.compare(since="2099-01-01")

    assert ("missing", "Seats", "m-8") in summarize(result)


def test_a_part_of_what_was_billed_is_no_later_mapping(month: Month) -> None:
    """The rest is lost, although the later mapping doesn't bill it any more."""
    month.first.write_text(EACH.format("properties.items"))
    month.second.write_text(EACH.format("properties.items[?n > `1`]"))
    order = event(8, event="Order", properties={"items": [{"n": 5}, {"n": 1}]})
    month.archive.write_text(write(order) + "\n")
    month.hyperline.store.clear()
    month.bill_event(month.first, order)
    assert month.compare()["matches"]

    del month.hyperline.store["Order", "m-8:1"]
    month.hyperline.rows.forget()

    assert summarize(month.compare()) == [("missing", "Order", "m-8:1")]


@pytest.mark.parametrize("read_all", [True, False])
def test_a_later_mapping_must_have_billed_the_right_customer(
    month: Month,
    core_api: FakeCoreApi,
    monkeypatch: pytest.MonkeyPatch,
    *,
    read_all: bool,
) -> None:
    """Which is looked up, like those of the mapping before."""
    monkeypatch.setenv("HYPERLINE_CORE_URL", core_api.url)
    month.second.write_text(SECOND.replace('"userId"', '"properties.account"'))
    moved = event(8)
    moved["properties"] = moved["properties"] | {"account": "newco"}
    month.archive.write_text(write(moved) + "\n")
    month.hyperline.store.clear()
    for number in range(5 if read_all else 500):
        core_api.add_customer(f"cus_{number}", f"other-{number}")
    core_api.add_customer(find_customer_id("newco"), "newco")
    core_api.add_customer(find_customer_id("customer-0"), "customer-0")

    month.bill_event(month.second, moved)
    assert month.compare()["matches"]

    key = "Places", "m-8"
    content = json.loads(month.hyperline.store[key]) | {"customer_id": "cus_3"}
    month.hyperline.store[key] = json.dumps(content).encode()
    month.hyperline.rows.forget()
    assert not month.compare()["matches"]


def test_an_unknown_customer_of_a_later_mapping_proves_nothing(month: Month) -> None:
    """Any customer would be right."""
    month.second.write_text(SECOND.replace('"userId"', '"properties.account"'))
    moved = event(8)
    moved["properties"] = moved["properties"] | {"account": "newco"}
    month.archive.write_text(write(moved) + "\n")
    month.hyperline.store.clear()
    month.bill_event(month.second, moved)

    assert ("missing", "Seats", "m-8") in summarize(month.compare())


def test_an_earlier_version_of_an_event_has_no_say(month: Month) -> None:
    """Only what mappings make of the last version counts."""
    corrected = event(8, receivedAt="2026-01-01T00:20:00Z")
    corrected["properties"] = corrected["properties"] | {"seats": 7}
    with month.archive.open("a") as file:
        file.write(write(corrected) + "\n")
    month.bill(month.second, 8)

    assert summarize(month.compare()) == [
        ("different", "Places", "m-8"),
        ("unexpected", "Seats", "m-8"),
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("yesterday", "HEAD"), "yesterday is neither a day"),
        (("2026-01-15", "no-such-thing"), "no-such-thing is neither a file nor a git"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_reported(
    month: Month, run: Run, arguments: tuple[str, str], problem: str
) -> None:
    """In one line, before anything is read."""
    done = run(
        *("reconcile", str(month.archive), "--mapping", str(month.first)),
        *("--mapping-since", *arguments),
    )

    assert done.returncode == 2
    assert problem in done.stderr
