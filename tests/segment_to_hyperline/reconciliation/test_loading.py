"""What the mapping makes of the events in the input."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_stack.segment_requests import write
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.sources import (
    Part,
    Source,
    find_sources,
    read_sources,
)
from segment_to_hyperline.mapping.file import parse_rules
from segment_to_hyperline.reconciliation.expected.loading import (
    Batch,
    add_batch,
    load_queued,
    map_source,
)
from segment_to_hyperline.reconciliation.expected.mappings import (
    DatedMapping,
    DatedRules,
)
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.expected.texts import read_texts
from segment_to_hyperline.reconciliation.expected.versions import (
    Billable,
    Version,
    join_sequence,
    split_sequence,
)
from tests.samples import track
from tests.segment_to_hyperline.reconciliation.helpers import SEATS, START

DESTINATION = "Webhooks (Actions)"
MAPPING = b"""
[[rules]]
type = "track"
event = "Seats Added"
customer_id = "userId"
event_type = "event"
timestamp = "timestamp"
record = { "*" = "properties" }

[[rules]]
type = "track"
event = "Order Completed"
customer_id = "userId"
each = "properties.products"
event_type = "event"
timestamp = "timestamp"
record = { sku = "item.sku" }
"""
RULES = parse_rules(MAPPING, "mapping.toml")
DATED = DatedRules([DatedMapping(0, MAPPING, "mapping.toml")])
RECEIVED = "2026-01-01T00:00:01.5Z"


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty store."""
    with Store() as store:
        yield store


def save(path: Path, *events: Any, end: str = "") -> Source:
    """Return a file with *events* and *end*."""
    text = "".join(write(event) + "\n" for event in events) + end
    path.write_text(text)
    return Source(str(path), len(text.encode()))


def map_all(source: Source, destination: str = DESTINATION) -> Batch:
    """Return what the rules make of a short source."""
    (batch,) = map_source(5, source, DATED, destination)
    return batch


def map_one(path: Path, event: Any) -> tuple[Version, list[Billable]]:
    """Return what the rules make of *event*."""
    batch = map_all(save(path / "1", event))
    (version,) = batch.versions
    return Version(*version), [Billable(*each) for each in batch.billable]


def test_an_event_has_versions_and_billable_events(tmp_path: Path) -> None:
    """Everything that the comparison needs to know, without reading it again."""
    event = track(messageId="m-1", receivedAt=RECEIVED, timestamp="2026-01-01T00:00Z")

    version, (billable,) = map_one(tmp_path, event)

    place = ("m-1", START + 1_500, join_sequence(5, 0))
    assert version == (*place, START, "billed", "")
    assert billable[:-1] == (SEATS, "m-1", *place, START, "customer-42")
    assert json.loads(billable.body)["record"]["id"] == "m-1"


def test_each_line_item_is_a_billable_event(tmp_path: Path) -> None:
    """They share the version of their event."""
    items = [{"sku": "a"}, {"sku": "b"}]
    event = track(event="Order Completed", properties={"products": items})

    version, billable = map_one(tmp_path, event)

    assert len({each.record_id for each in billable}) == 2
    assert {each[2:5] for each in billable} == {version[:3]}


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({"event": "Seats Removed"}, "filtered", "no rule matches"),
        ({"userId": None}, "quarantined", "Seats Added: customer_id: userId is null"),
        (
            {"integrations": {"All": False}},
            "not sent",
            "its field integrations excludes the destination",
        ),
        (
            {"integrations": {DESTINATION: False}, "userId": None},
            "not sent",
            "its field integrations excludes the destination",
        ),
    ],
)
def test_what_became_of_an_event_that_is_not_billed(
    tmp_path: Path, changes: dict[str, Any], outcome: str, reason: str
) -> None:
    """The reason is reported, and a later version that isn't billed counts."""
    version, billable = map_one(tmp_path, track(messageId="m-1", **changes))

    assert version.message_id == "m-1"
    assert (version.outcome, billable) == (outcome, [])
    assert reason in version.reason


def test_the_destination_has_the_name_of_the_option(tmp_path: Path) -> None:
    """A workspace can have several destinations that receive events."""
    source = save(tmp_path / "1", track(integrations={"Other": False}))

    assert [each[4] for each in map_all(source).versions] == ["billed"]
    assert [each[4] for each in map_all(source, "Other").versions] == ["not sent"]


@pytest.mark.parametrize("message_id", [None, "", 5, ["m-1"]])
def test_events_without_an_id_are_no_versions_of_each_other(
    tmp_path: Path, store: Store, message_id: Any
) -> None:
    """Each is reported."""
    event = track(messageId=message_id)
    (tmp_path / "1").write_text(f"{write(event)}\n{write(event)}\n5\n[]null\n")

    add_batch(store, map_all(Source(str(tmp_path / "1"), None)))
    store.finish_input()

    assert store.count_outcomes() == {"quarantined": 4}
    assert list(store.duplicates()) == []


def test_a_deeply_nested_event_is_a_version(tmp_path: Path, store: Store) -> None:
    """It is quarantined, so what an earlier version has isn't expected."""
    deep = write(track(messageId="m-1", receivedAt="2026-11-26T12:00:00Z"))
    deep = deep.replace('"seats":3', '"seats":' + "[" * 12_000 + "]" * 12_000)
    event = track(messageId="m-1", receivedAt=RECEIVED, timestamp=RECEIVED)
    source = save(tmp_path / "1", event, end=deep)

    add_batch(store, map_all(source))
    store.finish_input()

    assert store.count_outcomes() == {"quarantined": 1}
    assert list(store.duplicates()) == [("m-1", 2)]
    assert store.is_superseded(SEATS, "m-1")


@pytest.mark.parametrize("time", [None, 5, "soon", "", "2026-01-01"])
def test_times_that_can_not_be_read_are_unknown(tmp_path: Path, time: Any) -> None:
    """The event is quarantined or filtered, but isn't lost."""
    version, _ = map_one(tmp_path, track(timestamp=time, receivedAt=time))

    assert (version.time, version.received_at) == (0, 0)


def test_a_timestamp_after_the_receipt_is_wrong(tmp_path: Path) -> None:
    """Nobody would look for the event there."""
    event = track(timestamp="2027-01-01T00:00:00Z", receivedAt=RECEIVED)

    assert map_one(tmp_path, event)[0].time == START + 1_500


def test_damage_is_added_in_the_order_of_the_input(
    tmp_path: Path, store: Store
) -> None:
    """With its place, whichever process reads it first."""
    first = map_all(save(tmp_path / "1", track(), end="?\n!\n"))
    (second,) = map_source(6, save(tmp_path / "2", end="?"), DATED, DESTINATION)

    assert add_batch(store, second) == 1
    assert add_batch(store, first) == 2

    names = [reason.rpartition(": not JSON")[0] for reason in store.unreadable()]
    assert names == [f"{tmp_path}/1:2", f"{tmp_path}/2:1"]


def test_batches_are_small(tmp_path: Path) -> None:
    """Whatever the size of a file is, and if it isn't a file of events at all."""
    for path, content in ((tmp_path / "1", b"{}\n"), (tmp_path / "2", b'{"\xff":1}\n')):
        path.write_bytes(content * 9_000)
        batches = list(map_source(0, Source(str(path), None), DATED, DESTINATION))

        assert len(batches) >= 4
        assert max(len(b.versions) + len(b.unreadable) for b in batches) <= 2_000
        assert sum(batch.size for batch in batches) == path.stat().st_size
        assert [bool(batch.digest) for batch in batches] == [False] * 4 + [True]


def test_parts_have_all_events_and_the_hash_of_the_whole(tmp_path: Path) -> None:
    """Their sizes add up to about that of the source."""
    events = [track(messageId=f"m-{number}") for number in range(1_500)]
    path = tmp_path / "1.gz"
    path.write_bytes(gzip.compress("".join(write(e) + "\n" for e in events).encode()))
    (source,) = find_sources([str(path)])

    def map_part(part: Part) -> tuple[list[Any], list[Any], int, set[str]]:
        batches = list(map_source(0, source, DATED, DESTINATION, part))
        return (
            [version for batch in batches for version in batch.versions],
            [each for batch in batches for each in batch.billable],
            sum(batch.size for batch in batches),
            {batch.digest for batch in batches} - {""},
        )

    whole = map_part(Part(0, 1))
    parts = [map_part(Part(first, 3)) for first in range(3)]

    assert sorted(v for part in parts for v in part[0]) == sorted(whole[0])
    assert sorted(b for part in parts for b in part[1]) == sorted(whole[1])
    assert all(part[0] for part in parts)
    assert 0 <= whole[2] - sum(part[2] for part in parts) < 3
    assert all(part[3] == whole[3] for part in parts)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """It may have been deleted meanwhile."""
    with pytest.raises(InputError, match="No such file or directory"):
        map_all(Source(str(tmp_path / "1"), 10))


def test_queued_events_are_found_by_their_keys(tmp_path: Path, store: Store) -> None:
    """They explain what is missing; what can't be read is reported after the input."""
    text = write({"reason": "no", "events": [track(messageId="m-1"), track(event="X")]})
    path = tmp_path / "messages.json"
    path.write_text(write({"Messages": [{"Body": text}, 5]}))
    add_batch(store, map_all(save(tmp_path / "1", end="?")))

    queued = load_queued(read_sources(find_sources([str(path)])), RULES, store)

    assert queued == {(SEATS, "m-1"): str(path)}
    assert [str(path) in reason for reason in store.unreadable()] == [False, True]


def test_events_are_found_again_by_their_positions(tmp_path: Path) -> None:
    """Of two versions, only the last one is sent, as Segment wrote it."""
    events = [track(messageId=f"m-{n // 2}", properties={"n": n}) for n in range(4_000)]
    sources = [save(tmp_path / "1", *events[:3_000]), save(tmp_path / "2", *events)]
    versions = [
        Version(*version)
        for position, source in enumerate(sources)
        for batch in map_source(position, source, DATED, DESTINATION)
        for version in batch.versions
    ]
    # The 2,000th event of the first file, and the 3,500th of the second one.
    chosen = {v.message_id: v.sequence for v in (versions[1_999], versions[6_499])}

    found = read_texts(sources, chosen)

    assert [split_sequence(sequence)[0] for sequence in chosen.values()] == [0, 1]
    assert found == {"m-999": write(events[1_999]), "m-1749": write(events[3_499])}


def test_events_that_moved_are_an_error(tmp_path: Path) -> None:
    """Another one must not be sent instead."""
    source = save(tmp_path / "1", track(messageId="m-1"), track(messageId="m-2"))
    sequence = Version(*map_all(source).versions[1]).sequence
    save(tmp_path / "1", track(messageId="m-2"), track(messageId="m-1"))

    with pytest.raises(InputError, match="was changed while it was read"):
        read_texts([source], {"m-2": sequence - join_sequence(5, 0)})
