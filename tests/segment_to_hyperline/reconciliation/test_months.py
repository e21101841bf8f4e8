"""The truth of two months is found and corrected through storms of failures."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, override

import pytest

from local_stack.fake_api import Ending, FakeResponse, Request
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline, find_customer_id
from local_stack.segment_requests import write
from tests.samples import track
from tests.segment_to_hyperline.reconciliation.helpers import SEATS, Clock
from tests.segment_to_hyperline.reconciliation.planted import Run, alter, bill

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
NUMBER = 2_400
HOURS = 59 * 24 / NUMBER
CUSTOMERS = ["customer-0", "customer-1", "customer-2"]
RANGE = "--from", "2026-01-01", "--to", "2026-03-01"
JANUARY = "--from", "2026-01-01", "--to", "2026-02-01"
type Event = dict[str, Any]


class Storm(FakeHyperline):
    """A Hyperline that fails every other request, in changing ways."""

    def __init__(self) -> None:
        super().__init__(rate_limit=1_000_000)
        self.is_stormy = False
        self.failed = 0
        # What is delivered while the first reads are answered.
        self.parked: list[Event] = []
        self._random = random.Random(1)
        self._failures = [
            FakeResponse(429, headers={"Retry-After": "3"}),
            FakeResponse(503, b"<html>maintenance</html>"),
            FakeResponse(500),
            FakeResponse(200, b"not JSON"),
            FakeResponse(200, ending=Ending.RESET),
        ]

    @override
    def find_failure(self, request: Request) -> FakeResponse | None:
        if self.is_stormy and len(self.reads) > 3:
            if len(self.reads) > 30 and self.parked:
                bill(self, [self.parked.pop()])
            if self._random.random() < 0.5:
                self.failed += 1
                return self._random.choice(self._failures)
        return super().find_failure(request)


@pytest.fixture
def hyperline() -> Iterator[Storm]:
    """The ingestion API that the commands read."""
    with Storm() as api:
        yield api


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCoreApi]:
    """The core API that the commands read."""
    with FakeCoreApi(rate_limit=1_000_000) as api:
        for name in CUSTOMERS:
            api.add_customer(find_customer_id(name), name)
        monkeypatch.setenv("HYPERLINE_CORE_URL", api.url)
        yield api


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A time that only passes by sleeping, so that waits cost nothing."""
    return Clock(monkeypatch)


def create_event(number: int, **changes: Any) -> Event:
    """Return an event; they are spread over January and February."""
    moment = FIRST + timedelta(hours=number * HOURS)
    received = moment + timedelta(seconds=1)
    names = {"messageId": f"m-{number}", "event": (SEATS, "Report Sent")[number % 2]}
    names |= {"userId": CUSTOMERS[number % 3]}
    times = {"timestamp": moment.isoformat(), "receivedAt": received.isoformat()}
    return track(**(names | times | changes))


def name_of(event: Event) -> tuple[str, str]:
    """Return the type and the id of what is billed for an event."""
    return event["event"], event["messageId"]


def write_archive(folder: Path, sources: dict[str, list[Event]]) -> None:
    """Write events in the layout of Segment's archive."""
    for source, events in sources.items():
        path = folder / source
        path.mkdir(parents=True)
        (path / "1.ndjson").write_text("".join(write(e) + "\n" for e in events))


def plant(hyperline: Storm, folder: Path) -> set[tuple[str, str, str]]:
    """Write the archive and fill Hyperline; return the differences."""
    events = [create_event(number) for number in range(NUMBER)]
    bill(hyperline, events)
    truth: set[tuple[str, str, str]] = set()
    # Events of source b are corrected by source a, whose folder sorts first.
    corrections = [
        create_event(n, properties={"seats": 50}, receivedAt="2026-03-02T00:00:00Z")
        for n in (10, 11)
    ]
    truth |= {("different", *name_of(each)) for each in corrections}
    filtered = create_event(12, type="identify", receivedAt="2026-03-02T00:00:00Z")
    truth.add(("unexpected", *name_of(filtered)))
    unsent = [
        create_event(n, messageId=f"not-{n}", integrations={"All": False})
        for n in range(5)
    ]
    for number in (100, 101, 1_300):
        del hyperline.store[name_of(events[number])]
        truth.add(("missing", *name_of(events[number])))
    hyperline.parked = [events[number] for number in (200, 201)]
    for each in hyperline.parked:
        del hyperline.store[name_of(each)]
    for number, time in ((300, "2026-02-20T00:00:00Z"), (301, "2026-05-01T00:00:00Z")):
        alter(hyperline, name_of(events[number]), timestamp=time)
        truth.add(("different", *name_of(events[number])))
    alter(hyperline, name_of(events[400]), customer_id=CUSTOMERS[2])
    truth.add(("different", *name_of(events[400])))
    border, middle = "2026-01-31T23:59:59.999600Z", "2026-01-15T00:00:00.000Z"
    late = create_event(2, messageId="x-1", timestamp=border, receivedAt=border)
    same = [
        create_event(2, messageId=f"s-{n}", timestamp=middle, receivedAt=middle)
        for n in range(300)
    ]
    bill(hyperline, [late, *same])
    truth.add(("unexpected", *name_of(late)))
    sources = {
        "source-a": [*corrections, filtered],
        "source-b": [*events, *unsent, *same],
    }
    write_archive(folder, sources)
    return truth


def find(run: Run, archive: Path, *options: str) -> set[tuple[str, str, str]]:
    """Return the differences that the command finds."""
    done = run("reconcile", str(archive), "--deep", "--format", "json", *options)
    assert done.returncode in {0, 1}, done.stderr
    findings = json.loads(done.stdout)["findings"]
    return {(f["kind"], f["event_type"], f["record_id"]) for f in findings}


def test_two_months_are_found_and_corrected(
    run: Run, hyperline: Storm, core: FakeCoreApi, clock: Clock, tmp_path: Path
) -> None:
    """Exactly what was planted, while events are still delivered."""
    assert core
    archive = tmp_path / "segment-logs"
    truth = plant(hyperline, archive)
    hyperline.is_stormy = True

    found = find(run, archive, *RANGE)

    assert found == truth
    assert hyperline.parked == []
    assert hyperline.failed > 10
    assert clock
    foreign = {("unexpected", SEATS, "x-1")}
    options = "--direct", "--different", "--delete-unexpected", "--old", "--yes"
    before = dict(hyperline.store)
    done = run("backfill", str(archive), *RANGE, *options)
    assert done.returncode == 0, done.stderr
    assert find(run, archive, *RANGE) == foreign
    keys = {*before, *hyperline.store}
    changed = {k for k in keys if before.get(k) != hyperline.store.get(k)}
    assert changed == {each[1:] for each in truth - foreign}


def test_the_border_of_a_month_is_exact(
    run: Run, hyperline: Storm, core: FakeCoreApi, clock: Clock, tmp_path: Path
) -> None:
    """January has what is in January, on either side."""
    assert core
    assert clock
    archive = tmp_path / "segment-logs"
    truth = plant(hyperline, archive)
    hyperline.is_stormy = True

    found = find(run, archive, *JANUARY)

    numbers = {i: int(i.removeprefix("m-")) for _, _, i in truth if i.startswith("m-")}
    limit = 31 * 24 / HOURS
    assert found == {each for each in truth if numbers.get(each[2], 0) < limit}
