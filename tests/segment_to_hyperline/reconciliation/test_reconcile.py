"""The comparison of events with what Hyperline stored, and the backfill."""

import csv
import gzip
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_stack.fake_hyperline import KEY, FakeHyperline, FakeResponse
from local_stack.segment_requests import write
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.file import load_rules
from segment_to_hyperline.reconciliation.reader import (
    HyperlineUnavailable,
    Reader,
    Window,
)
from tests.conftest import Queue
from tests.samples import track

ROOT = Path(__file__).parents[3]
RULES = load_rules(ROOT / "function/mapping.toml")
START = datetime(2026, 1, 1, tzinfo=UTC)

type Run = Callable[..., subprocess.CompletedProcess[str]]


def event(number: int, **changes: Any) -> dict[str, Any]:
    """Return a track event; there are 60 in an hour."""
    moment = (START + timedelta(minutes=number)).isoformat(timespec="milliseconds")
    moment = moment.replace("+00:00", "Z")
    return (
        track(
            messageId=f"m-{number}",
            event=("Seats Added", "Report Sent")[number % 2],
            userId=f"customer-{number % 5}",
            timestamp=moment,
            receivedAt=changes.get("timestamp", moment),
        )
        | changes
    )


EVENTS = [event(number) for number in range(6_000)]
SEATS = "Seats Added"
MIDNIGHT = round(START.timestamp() * 1_000)


@pytest.fixture
def hyperline() -> Iterator[FakeHyperline]:
    """A Hyperline that stored `EVENTS`."""
    with FakeHyperline(rate_limit=1_000_000) as hyperline:
        bill(hyperline, EVENTS)
        yield hyperline


def bill(hyperline: FakeHyperline, events: list[dict[str, Any]]) -> None:
    """Store what the mapping makes of *events*."""
    for each in events:
        for billable in apply_rules(RULES, each):
            hyperline.store[tuple(billable.key)] = billable.json  # type: ignore[index] # a key has two strings
    hyperline.rows.forget()


def alter(hyperline: FakeHyperline, key: tuple[str, str], **changes: Any) -> None:
    """Change fields of a stored event."""
    content = json.loads(hyperline.store[key])
    hyperline.store[key] = json.dumps(content | changes).encode()
    hyperline.rows.forget()


def delete(hyperline: FakeHyperline, *numbers: int) -> None:
    """Delete stored events."""
    for number in numbers:
        del hyperline.store[EVENTS[number]["event"], f"m-{number}"]
    hyperline.rows.forget()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The events in the layout of Segment's archive in S3."""
    folder = tmp_path / "segment-logs/source-1"
    for day in range(5):
        path = folder / str(round((START + timedelta(days=day)).timestamp() * 1_000))
        path.mkdir(parents=True)
        part = EVENTS[day * 1_200 : (day + 1) * 1_200]
        lines = "".join(write(each) + "\n" for each in part).encode()
        (path / "1.gz").write_bytes(gzip.compress(lines))
    return tmp_path / "segment-logs"


@pytest.fixture
def run(hyperline: FakeHyperline, tmp_path: Path) -> Run:
    """Run a subcommand, by default with the key and the host of the fake.

    An empty variable is not set.
    """

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        merged = os.environ | variables(hyperline) | environment
        return subprocess.run(
            command(*arguments),
            cwd=tmp_path,
            env={name: value for name, value in merged.items() if value},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    run.environment = variables(hyperline)  # type: ignore[attr-defined] # for one test
    return run


def command(*arguments: str) -> list[str]:
    """Return the command line with *arguments*."""
    return [sys.executable, "-m", "segment_to_hyperline", *arguments]


def variables(hyperline: FakeHyperline) -> dict[str, str]:
    """Return the environment with the key and the host."""
    return {"HYPERLINE_API_KEY": KEY, "HYPERLINE_URL": hyperline.url}


def page(total: int, *ids: str) -> FakeResponse:
    """Return a response with rows at `START` that have these *ids*."""
    content = {"meta": {"total": total}, "data": [row(record_id=i) for i in ids]}
    return FakeResponse(200, json.dumps(content).encode())


def row(**changes: Any) -> dict[str, Any]:
    """Return a row as documented, at `START`."""
    documented = {
        "id": "evt_abc123def456",
        "event_type": SEATS,
        "timestamp": "2026-01-01T00:00:00.000Z",
        "customer_id": "cus_xyz789",
        "record_id": "a",
        "record": {"id": "a"},
    }
    return documented | changes


def compare(run: Run, archive: Path, *options: str) -> dict[str, Any]:
    """Return the result of a comparison as an object."""
    done = run("reconcile", str(archive), "--format", "json", *options)
    assert done.returncode in {0, 1}, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def ids(result: dict[str, Any], kind: str) -> list[str]:
    """Return the ids of the findings of a kind."""
    return [f["record_id"] for f in result["findings"] if f["kind"] == kind]


def test_equal_events_match_by_a_few_counts(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """A request for each type and day suffices, and the exit status is 0."""
    done = run("reconcile", str(archive))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Everything matches: 6,000 events expected")
    assert len(hyperline.reads) == 2 * 5
    assert all("take=0" in path for path in hyperline.reads)
    assert hyperline.requests == []


def test_each_kind_of_difference_is_found(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """Missing and unexpected events by count, and contents with --deep."""
    delete(hyperline, 10, 3_000, 5_999)
    alter(hyperline, (SEATS, "m-100"), record={"id": "m-100", "seats": 4})
    bill(hyperline, [event(1_500, messageId="x-1"), event(4_501, messageId="x-2")])
    with (archive / "again.ndjson").open("w") as file:
        file.write(write(EVENTS[7]) + "\n")

    shallow = compare(run, archive)
    deep = compare(run, archive, "--deep")

    assert (
        ids(shallow, "missing") == ids(deep, "missing") == ["m-10", "m-3000", "m-5999"]
    )
    assert ids(shallow, "unexpected") == ids(deep, "unexpected") == ["x-1", "x-2"]
    assert ids(deep, "different") == ["m-100"]
    (different,) = [f for f in deep["findings"] if f["kind"] == "different"]
    assert different["fields"] == {
        "record.seats": {"expected": 3, "actual": 4},
        "record.plan": {"expected": "team", "actual": None},
    }
    assert different["customer_id"] == "customer-0"
    assert deep["duplicates"] == [
        {"event_type": "Report Sent", "record_id": "m-7", "copies": 2}
    ]
    assert not deep["matches"]


def test_differences_that_cancel_each_other_out_need_a_deep_comparison(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """On one day, one event of a type is missing and another one is unexpected."""
    delete(hyperline, 10)
    bill(hyperline, [event(50, messageId="x-1")])

    assert compare(run, archive)["matches"]
    deep = compare(run, archive, "--deep")
    assert (ids(deep, "missing"), ids(deep, "unexpected")) == (["m-10"], ["x-1"])


def test_values_can_be_hidden(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """A report for others then has no data of customers."""
    alter(hyperline, (SEATS, "m-100"), record={"id": "m-100", "secret": "jane"})

    result = compare(run, archive, "--deep", "--no-values")

    assert result["findings"][0]["fields"] == [
        *("record.plan", "record.seats", "record.secret")
    ]
    assert "jane" not in json.dumps(result)


def test_an_event_with_another_time_is_different_and_not_missing(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """It is looked up by its id before it is reported."""
    alter(hyperline, (SEATS, "m-2000"), timestamp="2026-03-01T00:00:00Z")

    result = compare(run, archive)

    assert ids(result, "missing") == []
    (finding,) = result["findings"]
    assert finding["fields"]["timestamp"]["actual"] == "2026-03-01T00:00:00.000Z"


def test_ids_with_commas_are_found(
    run: Run, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """In a query, a list of ids is separated by commas."""
    events = [event(n, messageId=f"a,{n}") for n in range(6_000, 6_004)]
    bill(hyperline, events[1:])
    path = tmp_path / "events.ndjson"
    path.write_text("".join(write(e) + "\n" for e in events))

    result = compare(run, path, "--from", events[0]["timestamp"])

    assert ids(result, "missing") == []
    assert ids(result, "unchecked") == ["a,6000"]
    assert not ids(result, "unexpected")


def test_the_time_range_is_that_of_the_timestamps(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """Hyperline filters by the timestamp, so the day of receipt doesn't matter."""
    late = event(0, messageId="late", receivedAt="2026-01-03T00:00:00Z")
    (archive / "late.ndjson").write_text(write(late))
    bill(hyperline, [late])
    delete(hyperline, 2_000)

    first = compare(run, archive, "--from", "2026-01-01", "--to", "2026-01-02")
    second = compare(
        run, archive, "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-03"
    )

    assert (first["expected"], first["matches"]) == (24 * 60 + 1, True)
    assert (second["expected"], ids(second, "missing")) == (24 * 60, ["m-2000"])
    assert {"kind": "outside", "reason": "not between --from and --to"}.items() <= (
        first["not_billable"][0].items()
    )


def test_another_event_type_can_be_checked(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """Hyperline can't list its event types, so one that no event has is named."""
    bill(hyperline, [event(5, event="Other", messageId="x-1")])

    assert compare(run, archive)["matches"]
    assert ids(compare(run, archive, "--event-type", "Other"), "unexpected") == ["x-1"]


def test_events_that_are_not_billable_are_listed_with_the_reason(
    run: Run, archive: Path
) -> None:
    """They are no difference, but a line that can't be read is."""
    identify, unmappable = event(1, type="identify"), event(2, userId=None)
    (archive / "more.ndjson").write_text(f"{write(identify)}\n{write(unmappable)}\n")

    assert compare(run, archive)["not_billable"] == [
        {"kind": "filtered", "reason": "no rule matches", "events": 1},
        {
            "kind": "quarantined",
            "reason": "rule 1 (track): customer_id: userId is null",
            "events": 1,
        },
    ]
    (archive / "more.ndjson").write_text("nonsense\n")
    done = run("reconcile", str(archive))
    assert done.returncode == 1
    assert "more.ndjson:1: not JSON" in done.stdout


def test_the_result_can_be_a_table_csv_or_markdown(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """Differences are grouped by day, event type and customer."""
    delete(hyperline, 10, 20, 3_000)

    text = run("reconcile", str(archive)).stdout
    table = run("reconcile", str(archive), "--format", "csv").stdout
    markdown = run("reconcile", str(archive), "--format", "markdown").stdout

    assert "There are differences: 6,000 events expected, 3 missing" in text
    assert "2  missing  2026-01-01  Seats Added  customer-0" in text
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["record_id"] for row in rows] == ["m-10", "m-20", "m-3000"]
    assert "| 2 | missing | 2026-01-01 | Seats Added | customer-0 |" in markdown


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ((), {"HYPERLINE_API_KEY": ""}, "no API key: set HYPERLINE_API_KEY"),
        ((), {"HYPERLINE_API_KEY": "test_ü"}, "not allowed in an HTTP header"),
        ((), {"HYPERLINE_API_KEY": "test_wrong"}, "Hyperline rejected the API key"),
        (
            (),
            {
                "HYPERLINE_API_KEY": "prod_1",
                "HYPERLINE_URL": "https://sandbox.ingest.hyperline.co",
            },
            "HYPERLINE_URL belongs to another environment than the API key",
        ),
        ((), {"HYPERLINE_URL": "http://example.com"}, "must be https:// and a host"),
        (
            (),
            {"HYPERLINE_API_KEY": "x", "HYPERLINE_URL": ""},
            "neither prod_ nor test_",
        ),
        (
            ("--from", "2026-01-02", "--to", "2026-01-01"),
            {},
            "--from must be before --to",
        ),
        (("--from", "yesterday"), {}, "yesterday is neither a day"),
        (("EMPTY",), {}, "The folder has no files"),
        (("none.gz",), {}, "No such file or directory"),
        (("BLANK",), {}, "no events"),
        (("--state", "BLANK"), {}, "BLANK"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    run: Run,
    archive: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    message: str,
) -> None:
    """Nothing is half done, and the line says what to do."""
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "BLANK").write_text("")
    names = () if arguments and not arguments[0].startswith("--") else (str(archive),)

    done = run("reconcile", *names, *arguments, **environment)

    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert message in line


def test_a_truncated_file_is_reported(run: Run, archive: Path) -> None:
    """Its readable events are compared, and the exit status is not 0."""
    path = next(archive.rglob("*.gz"))
    path.write_bytes(path.read_bytes()[:-100])

    done = run("reconcile", str(archive))

    assert done.returncode == 1
    assert "the gzip data is damaged or truncated" in done.stdout


def test_overlapping_inputs_are_read_once(run: Run, archive: Path) -> None:
    """A folder and a file in it don't make duplicates."""
    result = compare(run, archive, str(next(archive.rglob("*.gz"))))

    assert result["duplicates"] == []
    assert result["matches"]


@pytest.mark.parametrize("shape", ["cli", "console", "array", "decompressed"])
def test_every_form_of_events_is_read(
    run: Run, tmp_path: Path, hyperline: FakeHyperline, shape: str
) -> None:
    """Messages of the queues, arrays, and an archive that a client decompressed."""
    assert hyperline
    texts = [write(each) for each in EVENTS[:100]]
    body = f'{{"reason": "no", "events": [{",".join(texts)}]}}'
    content = {
        "cli": json.dumps({"Messages": [{"MessageId": "1", "Body": body}]}),
        "console": body,
        "array": f"[{','.join(texts)}]",
        "decompressed": "\n".join(texts),
    }[shape]
    path = tmp_path / "events.gz"
    path.write_text(content)

    result = compare(
        run, path, "--from", "2026-01-01", "--to", EVENTS[100]["timestamp"]
    )

    assert (result["expected"], result["matches"]) == (100, True)


def test_failures_of_hyperline_are_retried(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """A 429 after the time that it states."""
    hyperline.respond(FakeResponse(429, headers={"Retry-After": "1"}), 503)

    done = run("reconcile", str(archive))

    assert done.returncode == 0, done.stderr
    assert len(hyperline.reads) == 10 + 2


class Clock:
    """A time that only passes while somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = float(round(time.time()))
        monkeypatch.setattr("time.time", lambda: self.now)
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        monkeypatch.setattr("time.sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@pytest.mark.parametrize("limit", [100, 1_000])
def test_reading_leaves_most_of_the_rate_limit_to_billing(
    monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Posts count towards the same limit, so reads use a fifth of it."""
    clock = Clock(monkeypatch)
    with FakeHyperline(rate_limit=limit) as limited:
        reader = Reader(limited.url, KEY)
        began = clock.now

        for _ in range(limit):
            reader.count(Window(SEATS, 0, 1))

        assert clock.now - began == pytest.approx(50, rel=0.02)
        assert limited.reads == limited.reads[:1] * limit


def test_reading_waits_while_billing_needs_the_rate_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When half of the limit is used up, the rest is left to posts."""
    clock = Clock(monkeypatch)
    with FakeHyperline() as limited:
        reader = Reader(limited.url, KEY)
        reader.count(Window(SEATS, 0, 1))
        ends = clock.now + 10
        for _ in range(500):
            limited.limiter.take()

        reader.count(Window(SEATS, 0, 1))
        assert clock.now < ends
        reader.count(Window(SEATS, 0, 1))

        assert ends <= clock.now < ends + 1


@pytest.mark.parametrize(
    "headers",
    [
        {"X-RateLimit-Limit": "x", "X-RateLimit-Remaining": "-1"},
        {"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": ""},
    ],
)
def test_malformed_headers_of_the_rate_limit_are_ignored(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    """The documented limit counts instead."""
    clock = Clock(monkeypatch)
    with FakeHyperline() as server:
        reader = Reader(server.url, KEY)
        server.respond(*[replace(page(0), headers=headers)] * 20)
        began = clock.now

        for _ in range(20):
            reader.count(Window(SEATS, 0, 1))

        assert clock.now - began == pytest.approx(19 * 0.05)


def test_a_malformed_time_of_the_reset_is_a_whole_period(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So the next request is in the next period in any case."""
    clock = Clock(monkeypatch)
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"}
    with FakeHyperline() as server:
        reader = Reader(server.url, KEY)
        server.respond(replace(page(0), headers=headers))
        began = clock.now

        reader.count(Window(SEATS, 0, 1))
        reader.count(Window(SEATS, 0, 1))

        assert clock.now - began == pytest.approx(10)


@pytest.mark.parametrize(
    "changes",
    [
        {"event_type": "Report Sent"},
        {"timestamp": "2025-12-31T23:59:59.999Z"},
        {"timestamp": "2026-01-01T00:00:00.001Z"},
    ],
)
def test_rows_that_were_not_asked_for_are_never_used(
    hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """Hyperline ignores filters that it doesn't know, and returns other rows."""
    Clock(monkeypatch)
    window = Window(SEATS, MIDNIGHT, MIDNIGHT + 1)
    content = {"meta": {"total": 1, "taken": 1, "skipped": 0}, "data": [row(**changes)]}
    hyperline.respond(*[FakeResponse(200, json.dumps(content).encode())] * 6)

    with pytest.raises(HyperlineUnavailable, match="respond as documented"):
        Reader(hyperline.url, KEY).rows(window)


def test_ids_that_were_not_asked_for_are_never_used(
    hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above, for the filter by ids."""
    Clock(monkeypatch)
    hyperline.respond(*[page(2, "a", "b")] * 6)

    with pytest.raises(HyperlineUnavailable, match="respond as documented"):
        Reader(hyperline.url, KEY).find(SEATS, ["a"])


def test_pages_are_read_in_a_stated_order_until_all_rows_are_there(
    hyperline: FakeHyperline,
) -> None:
    """The default order and `taken` are not relied on."""
    hyperline.rows.max_page = 40
    ids = [f"m-{number}" for number in range(0, 200, 2)]

    found = Reader(hyperline.url, KEY).find(SEATS, ids)

    assert [row["record_id"] for row in found] == ids
    assert len(hyperline.reads) == 3
    assert all("sort=timestamp&order=asc" in path for path in hyperline.reads)


def test_a_failure_of_hyperline_can_be_continued(
    run: Run,
    archive: Path,
    tmp_path: Path,
    hyperline: FakeHyperline,
) -> None:
    """The exit status is 3; the next run doesn't repeat what is completed."""
    delete(hyperline, 10)
    expected = compare(run, archive)
    hyperline.reads.clear()
    # The third request and its repetitions fail.
    ok = FakeResponse(200, b'{"meta": {"total": 720}, "data": []}')
    hyperline.respond(ok, ok, *[FakeResponse(500, headers={"Retry-After": "1"})] * 6)

    done = run("reconcile", str(archive))

    assert done.returncode == 3
    assert done.stderr.startswith("Incomplete: Hyperline doesn't respond")
    hyperline.reads.clear()
    assert compare(run, archive) == expected
    assert list((tmp_path / ".reconcile").iterdir()) == []


def test_a_killed_comparison_continues_with_the_same_result(
    run: Run, archive: Path, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """It is killed at random moments; nothing is repeated or left out."""
    delete(hyperline, 10, 3_000)
    bill(hyperline, [event(50, messageId="x-1")])
    expected = compare(run, archive, "--deep")
    generator = random.Random(1)

    for _ in range(6):
        process = subprocess.Popen(
            command("reconcile", str(archive), "--deep"),
            cwd=tmp_path,
            env=os.environ | variables(hyperline),
            stdout=subprocess.DEVNULL,
        )
        time.sleep(generator.uniform(0.3, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert compare(run, archive, "--deep") == expected


RECENT = [
    event(n, timestamp=datetime.now(UTC).isoformat(timespec="milliseconds"))
    for n in range(7_000, 7_010)
]


@pytest.fixture
def recent(tmp_path: Path) -> Path:
    """A file with recent events, of which Hyperline has none."""
    path = tmp_path / "recent.ndjson"
    path.write_text("".join(write(each) + "\n" for each in RECENT))
    return path


def test_a_backfill_shows_a_plan_first(
    run: Run, recent: Path, archive: Path, hyperline: FakeHyperline
) -> None:
    """Without --yes nothing is sent; old events are left out with a warning."""
    delete(hyperline, 10)

    done = run("backfill", str(recent), str(archive))

    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "10 to bill, 1 left out"
    assert "older than 3 days, so their invoice may be closed" in done.stdout
    assert hyperline.requests == []


def test_a_backfill_bills_what_is_missing_and_nothing_else(
    run: Run, recent: Path, archive: Path, hyperline: FakeHyperline
) -> None:
    """It can be repeated."""
    bill(hyperline, RECENT[3:])
    before = dict(hyperline.store)
    arguments = ("backfill", str(recent), str(archive), "--direct", "--yes")

    first, second = run(*arguments), run(*arguments)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert first.stdout.count("sent  ") == 3
    assert second.stdout == "0 to bill, 0 left out\n"
    new = {key: body for key, body in hyperline.store.items() if key not in before}
    assert {record_id for _, record_id in new} == {e["messageId"] for e in RECENT[:3]}
    assert all(hyperline.store[key] == body for key, body in before.items())
    assert json.loads(
        run("reconcile", str(recent), str(archive), "--format", "json").stdout
    )["matches"]


def test_a_backfill_can_overwrite_what_differs(
    run: Run, recent: Path, hyperline: FakeHyperline
) -> None:
    """Only with --different, because somebody may have corrected it."""
    bill(hyperline, RECENT)
    key = (RECENT[0]["event"], RECENT[0]["messageId"])
    original = hyperline.store[key]
    alter(hyperline, key, record={"id": key[1], "seats": 99})
    arguments = ("backfill", str(recent), "--direct", "--yes")

    assert run(*arguments).stdout == "0 to bill, 0 left out\n"
    done = run(*arguments, "--different")

    assert done.stdout.count("sent  ") == 1
    assert json.loads(hyperline.store[key]) == json.loads(original)


def test_a_backfill_uses_the_replay_queue(
    run: Run, recent: Path, replay_queue: Queue
) -> None:
    """The deployed application then delivers the events, as after an outage."""
    done = run("backfill", str(recent), "--queue-url", replay_queue.url, "--yes")

    assert done.returncode == 0, done.stderr
    (attributes,) = replay_queue.attributes()
    assert attributes["Environment"] == "sandbox"
    (message,) = replay_queue.messages()
    assert message == {"reason": "backfill", "events": RECENT}


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        (("--yes",), {}, "--yes needs either --queue-url or --direct"),
        (("--yes", "--direct", "--queue-url", "x"), {}, "--yes needs either"),
    ],
)
def test_a_backfill_needs_one_destination(
    run: Run,
    recent: Path,
    options: tuple[str, ...],
    environment: dict[str, str],
    message: str,
) -> None:
    """Nothing is sent by mistake."""
    done = run("backfill", str(recent), *options, **environment)

    assert done.returncode == 2
    assert message in done.stderr


def test_a_backfill_never_posts_directly_with_another_key(
    run: Run, recent: Path
) -> None:
    """In production, only the deployed application posts."""
    with FakeHyperline(key="prod_1", rate_limit=1_000) as production:
        environment = variables(production) | {"HYPERLINE_API_KEY": "prod_1"}

        done = run("backfill", str(recent), "--direct", "--yes", **environment)

    assert done.returncode == 2
    assert "--direct needs a sandbox key" in done.stderr
    assert production.requests == []


def test_events_that_cannot_be_sent_are_reported(
    run: Run, recent: Path, hyperline: FakeHyperline
) -> None:
    """Each event is in the report, and the exit status is 1."""
    hyperline.unknown_customers.add(RECENT[0]["userId"])

    done = run("backfill", str(recent), "--direct", "--yes")

    assert done.returncode == 1
    assert done.stdout.count("FAILED: ") == 2
    assert done.stdout.count("sent  ") == 8


def test_the_ledger_shows_usage_as_sent_and_as_billed(
    run: Run, archive: Path, hyperline: FakeHyperline, tmp_path: Path
) -> None:
    """Totals are those of Hyperline's rows, whatever is missing, altered or added."""
    delete(hyperline, 10, 20)
    alter(hyperline, (SEATS, "m-30"), record={"id": "m-30", "seats": 9.5})
    extra = event(40, messageId="x-1", properties={"seats": 100})
    bill(hyperline, [extra])
    more = [event(1, type="identify", messageId="i"), event(2, userId=None)]
    (archive / "more.ndjson").write_text("\n".join(map(write, more)))
    parked = tmp_path / "replay.json"
    parked.write_text(json.dumps({"reason": "down", "events": [EVENTS[10]]}))
    arguments = ("ledger", str(archive), "--to", "2026-01-02", "--queued", str(parked))

    done = run(*arguments)
    as_json = json.loads(run(*arguments, "--json", "--by", "month").stdout)

    assert done.returncode == 1
    row = next(
        line for line in done.stdout.splitlines() if "Seats Added  customer-0" in line
    )
    # 144 events with 3 seats each; two are missing and one has 9.5.
    assert row.split()[4:] == [
        *("144", "142", "2"),
        *("seats", "432", "sent,", "432.5", "billed"),
    ]
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    reason = "rule 1 (track): customer_id: userId is null"
    assert f"1 {parked}" in lines
    assert f"2026-01-01 1 quarantined {reason}" in lines
    assert "2026-01-01 1 filtered no rule matches" in lines
    billed = sum(usage["billed"]["events"] for usage in as_json["usage"])
    stored = [json.loads(body) for body in hyperline.store.values()]
    assert billed == len([e for e in stored if e["timestamp"] < "2026-01-02"])
    total = sum(usage["billed"]["totals"]["seats"] for usage in as_json["usage"])
    assert total == sum(
        e["record"]["seats"] for e in stored if e["timestamp"] < "2026-01-02"
    )
    assert {usage["period"] for usage in as_json["usage"]} == {"2026-01"}


def test_the_ledger_of_equal_events_matches(run: Run, archive: Path) -> None:
    """The exit status is 0."""
    done = run("ledger", str(archive), "--by", "month")

    assert done.returncode == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "2026-01 Report Sent customer-1 600 600 0 seats 1,800" in lines


def test_ctrl_c_ends_with_one_line_and_can_be_continued(
    run: Run, archive: Path, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """The exit status is 130, and the next run has the whole result."""
    delete(hyperline, 10)
    hyperline.respond(*[FakeResponse(429, headers={"Retry-After": "30"})])
    process = subprocess.Popen(
        command("reconcile", str(archive)),
        cwd=tmp_path,
        env=os.environ | variables(hyperline),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not hyperline.reads:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)

    output, errors = process.communicate(timeout=60)

    assert (process.returncode, output, errors.strip()) == (130, b"", b"Interrupted.")
    assert ids(compare(run, archive), "missing") == ["m-10"]


@pytest.mark.parametrize("is_full", [False, True])
def test_a_full_disk_is_reported(
    run: Run, archive: Path, tmp_path: Path, *, is_full: bool
) -> None:
    """The line names the file, and the next run starts again."""
    limit = "ulimit -f 1000; " * is_full
    shown = subprocess.run(
        ["sh", "-c", f'{limit} exec "$@"', "sh", *command("reconcile", str(archive))],
        cwd=tmp_path,
        env=os.environ | run.environment,  # type: ignore[attr-defined] # set by the fixture
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert shown.returncode == (2 if is_full else 0), shown.stderr
    assert ("free some space" in shown.stderr) == is_full
    assert compare(run, archive)["matches"]


def test_short_pages_are_completed(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """A server may return fewer rows than it was asked for."""
    hyperline.rows.max_page = 30
    delete(hyperline, 10)

    result = compare(run, archive, "--deep")

    assert [f["record_id"] for f in result["findings"]] == ["m-10"]


@pytest.mark.parametrize(
    "options", [("--from", "2020-01-01", "--to", "2020-02-01"), ("--mapping", "m.toml")]
)
def test_nothing_to_compare_is_an_error(
    run: Run, archive: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """A wrong year, or a wrong mapping, is not a match."""
    (tmp_path / "m.toml").write_text("[[rules]]\nignore = true\n")

    done = run("reconcile", str(archive), *options)

    assert (done.returncode, done.stdout) == (2, "")
    assert "no billable event is in this time: check --from, --to" in done.stderr


def test_a_completed_comparison_is_not_reused(
    run: Run, archive: Path, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """Also if its output was closed, so that nothing could be cleaned up."""
    line = f"{' '.join(command('reconcile', str(archive)))} | true"
    subprocess.run(
        ["sh", "-c", line],
        cwd=tmp_path,
        env=os.environ | variables(hyperline),
        check=True,
        timeout=60,
    )
    delete(hyperline, 10)

    assert ids(compare(run, archive), "missing") == ["m-10"]


def test_two_comparisons_of_the_same_events_exclude_each_other(
    run: Run, archive: Path, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """They would overwrite what the other one has found."""
    hyperline.respond(FakeResponse(429, headers={"Retry-After": "3"}))
    first = subprocess.Popen(
        command("reconcile", str(archive)),
        cwd=tmp_path,
        env=os.environ | variables(hyperline),
        stdout=subprocess.DEVNULL,
    )
    while not hyperline.reads:
        time.sleep(0.05)

    second = run("reconcile", str(archive))

    assert second.returncode == 2
    assert "are being compared already" in second.stderr
    assert first.wait(timeout=60) == 0


@pytest.mark.parametrize("customer", [None, "cus_another"])
def test_another_customer_is_a_difference(
    run: Run, archive: Path, hyperline: FakeHyperline, customer: str | None
) -> None:
    """Hyperline shows its own ids, so it is compared with that of other events."""
    alter(hyperline, (SEATS, "m-100"), customer_id=customer or "somebody else")
    if customer is None:
        hyperline.rows.customers["m-100"] = None

    (finding,) = compare(run, archive, "--deep")["findings"]

    assert (finding["kind"], finding["record_id"]) == ("different", "m-100")
    assert set(finding["fields"]) == {"customer_id"}


def test_a_backfill_tells_events_with_the_same_id_apart(
    run: Run, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """An event is identified by its type and its id."""
    both = [{**RECENT[0], "event": kind} for kind in ("A", "B")]
    path = tmp_path / "both.ndjson"
    path.write_text("\n".join(map(write, both)))

    done = run("backfill", str(path), "--direct", "--yes")

    assert done.stdout.count("sent  ") == 2
    assert {key for key in hyperline.store if key[1] == RECENT[0]["messageId"]} == {
        ("A", RECENT[0]["messageId"]),
        ("B", RECENT[0]["messageId"]),
    }


def test_a_backfill_sends_the_last_version(
    run: Run, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """What only an earlier version has is reported, and not sent."""
    mapping = tmp_path / "each.toml"
    mapping.write_text(
        '[[rules]]\neach = "properties.items"\nrecord = { n = "item" }\n'
    )
    first, last = (RECENT[0] | {"properties": {"items": n}} for n in ([1, 2], [3]))
    path = tmp_path / "versions.ndjson"
    path.write_text(f"{write(first)}\n{write(last)}\n")

    done = run("backfill", str(path), "--direct", "--yes", "--mapping", str(mapping))

    assert done.returncode == 1
    assert done.stdout.count("sent  ") == 1
    assert "the last version of the event does not have it" in done.stdout
    name = RECENT[0]["messageId"]
    stored = [
        json.loads(b) for (_, i), b in hyperline.store.items() if i.startswith(name)
    ]
    assert [event["record"] for event in stored] == [{"n": 3, "id": f"{name}:0"}]


def test_a_backfill_never_sends_an_earlier_version(
    run: Run, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """It would overwrite what the last version has billed."""
    mapping = tmp_path / "each.toml"
    mapping.write_text(
        '[[rules]]\neach = "properties.items"\nrecord = { n = "item" }\n'
    )
    first, last = (RECENT[0] | {"properties": {"items": n}} for n in ([1, 2], [3]))
    path = tmp_path / "versions.ndjson"
    path.write_text(f"{write(last)}\n")
    arguments = ("backfill", str(path), "--direct", "--yes", "--mapping", str(mapping))
    assert run(*arguments).returncode == 0
    billed = dict(hyperline.store)
    hyperline.requests.clear()
    path.write_text(f"{write(first)}\n{write(last)}\n")

    done = run(*arguments)

    assert done.returncode == 1
    assert "the last version of the event does not have it" in done.stdout
    assert hyperline.requests == []
    assert hyperline.store == billed


def test_a_backfill_keeps_similar_message_ids_apart(
    run: Run, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """An id can look like that of a line item, if the mapping has none."""
    both = [{**RECENT[0], "messageId": name} for name in ("order", "order:0")]
    path = tmp_path / "both.ndjson"
    path.write_text("\n".join(map(write, both)))

    done = run("backfill", str(path), "--direct", "--yes")

    assert (done.returncode, done.stdout.count("sent  ")) == (0, 2)
    names = {record_id for _, record_id in hyperline.store}
    assert {"order", "order:0"} <= names


def test_a_backfill_reports_what_it_cannot_read(
    run: Run, recent: Path, hyperline: FakeHyperline
) -> None:
    """A damaged file could contain the missing event, so nothing is sent.

    It could also contain the last version of an event that the plan would bill.
    """
    bill(hyperline, RECENT[1:])
    with recent.open("a") as file:
        file.write("nonsense\n")

    plan = run("backfill", str(recent))
    done = run("backfill", str(recent), "--direct", "--yes")

    assert (plan.returncode, done.returncode) == (1, 1)
    assert plan.stdout == done.stdout
    assert done.stdout.endswith("1 to bill, 0 left out\n")
    place, last = done.stderr.splitlines()
    assert place.startswith(f"{recent}:11: not JSON: Expecting value")
    assert last == (
        "Failed: the result is incomplete, because 1 part of the input can't be read;"
        " nothing was sent: repair or remove this part."
    )
    assert hyperline.requests == []


@pytest.mark.parametrize("command", ["reconcile", "ledger", "backfill"])
def test_an_array_with_a_damaged_event_is_incomplete(
    run: Run, tmp_path: Path, hyperline: FakeHyperline, command: str
) -> None:
    """The other events are compared, and the last line says what is missing."""
    texts = [write(each) for each in EVENTS[:1_000]]
    texts[500] = texts[500].replace('"seats":3', '"seats":NaN')
    assert hyperline
    path = tmp_path / "events.json"
    path.write_text(f"[{','.join(texts)}]")
    extra = ("--format", "json") if command == "reconcile" else ()

    done = run(command, str(path), "--to", EVENTS[1_000]["timestamp"], *extra)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "Failed: the result is incomplete, because 1 part of the input can't be read"
    )
    if command == "reconcile":
        result = json.loads(done.stdout)
        assert (result["expected"], result["unreadable"]) == (999, 1)
        assert ids(result, "unexpected") == ["m-500"]


def test_a_damaged_export_makes_the_ledger_incomplete(
    run: Run, archive: Path, tmp_path: Path
) -> None:
    """What is missing could be in it."""
    (tmp_path / "replay.json").write_text('{"reason": "down", "events": [{"a":')

    done = run("ledger", str(archive), "--queued", str(tmp_path / "replay.json"))

    assert done.returncode == 1
    assert "replay.json:1: not JSON" in done.stdout
    assert "incomplete, because 1 part of the input" in done.stderr.splitlines()[-1]


def test_a_backfill_needs_files(run: Run) -> None:
    """The events are read twice."""
    done = run("backfill", "-", "--direct", "--yes")

    assert done.returncode == 2
    assert "is read twice, so it must be a file" in done.stderr


@pytest.mark.parametrize(
    "changes", [{"timestamp": "2026-03-01T00:00:00Z"}, {"record": {"id": "m-100"}}]
)
def test_the_ledger_does_not_match_if_an_event_differs(
    run: Run, archive: Path, hyperline: FakeHyperline, changes: dict[str, Any]
) -> None:
    """An event with another timestamp is billed in another period."""
    alter(hyperline, (SEATS, "m-100"), **changes)

    done = run("ledger", str(archive), "--by", "month")

    assert done.returncode == 1
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    if "timestamp" in changes:
        assert "2026-03 Seats Added customer-0 0 1 0 seats 0 sent, 3 billed" in lines


def test_a_time_that_no_invoice_has_is_not_billable(
    run: Run, tmp_path: Path, replay_queue: Queue
) -> None:
    """The report doesn't say that everything matches, and nothing is billed later."""
    path = tmp_path / "events.ndjson"
    times = {
        "timestamp": "2036-02-07T06:28:15.000Z",
        "receivedAt": "2026-01-07T00:00:00Z",
    }
    path.write_text(write(event(8_000, **times)))

    result = compare(run, path, "--from", "2026-01-01", "--event-type", SEATS)

    assert result["not_billable"] == [
        {
            "kind": "quarantined",
            "reason": "rule 1 (track): timestamp: timestamp is more than 1 day later"
            " than receivedAt (max_days_in_future)",
            "events": 1,
        }
    ]
    assert result["expected"] == 0
    with path.open("a") as file:
        file.write("\n" + write(event(8_001)))
    done = run("backfill", str(path), "--queue-url", replay_queue.url, "--old", "--yes")
    assert done.returncode == 0, done.stderr
    messages = [json.loads(body) for body in replay_queue.bodies()]
    assert [e["messageId"] for m in messages for e in m["events"]] == ["m-8001"]


def test_odd_events_are_compared(
    run: Run, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """Lone surrogates, long ids, and a year far away, with few requests."""
    events = [
        event(8_000, messageId="\ud800"),
        event(8_001, messageId="x" * 3_000 + "%&=+"),
        event(8_002, messageId="y" * 3_000),
        event(8_003, timestamp="1970-01-01T00:00:00.001Z", receivedAt=None),
        event(8_004, timestamp="9999-12-31T23:00:00.000Z", receivedAt=None),
    ]
    path = tmp_path / "odd.ndjson"
    path.write_text("".join(json.dumps(e) + "\n" for e in events))

    result = compare(run, path, "--from", "1960-01-01", "--to", "1970-01-02")
    hyperline.reads.clear()
    everything = compare(run, path, "--deep", "--event-type", "Nothing")

    assert (result["expected"], len(ids(result, "missing"))) == (1, 1)
    assert len(ids(everything, "missing")) == 5
    assert len(hyperline.reads) < 200


@pytest.mark.parametrize(
    "content",
    [
        {"meta": None, "data": []},
        {"meta": {"total": "x"}, "data": []},
        {"meta": {"total": 1}, "data": None},
        {"meta": {"total": 1}, "data": [1]},
        {"meta": {"total": 1}, "data": [{"record_id": "a", "record": {}}]},
        {"meta": {"total": 1}, "data": [{"timestamp": "2026-01-01T00:00:00Z"}]},
        {"meta": {"total": 1}, "data": [row(record=[])]},
        {"meta": {"total": 1}, "data": [row(record_id=None)]},
        {"meta": {"total": 1}, "data": [row(timestamp="yesterday")]},
        [],
    ],
)
def test_a_response_that_is_not_as_documented_is_requested_again(
    hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch, content: Any
) -> None:
    """It is never taken for a number of rows."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    window = Window(SEATS, 0, round(START.timestamp() + 86_400) * 1_000)
    hyperline.respond(FakeResponse(200, json.dumps(content).encode()), 418)

    assert Reader(hyperline.url, KEY).count(window) == 720
    assert len(hyperline.reads) == 3
    hyperline.respond(*[500] * 6)
    with pytest.raises(HyperlineUnavailable):
        Reader(hyperline.url, KEY).count(window)


def test_an_event_that_is_stored_twice_is_unexpected(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """It would be billed twice, and the ledger has it twice."""
    hyperline.rows.repeated.add("m-100")

    for options in ((), ("--deep",)):
        (finding,) = compare(run, archive, *options)["findings"]
        assert (finding["kind"], finding["record_id"]) == ("unexpected", "m-100")
        assert finding["fields"]["copies"] == {"expected": 1, "actual": 2}
    ledger = run("ledger", str(archive), "--to", "2026-01-02", "--json")
    usage = json.loads(ledger.stdout)["usage"]
    assert sum(u["billed"]["events"] - u["sent"]["events"] for u in usage) == 1
    assert (
        sum(
            u["billed"]["totals"]["seats"] - u["sent"]["totals"]["seats"] for u in usage
        )
        == 3
    )


def test_the_ledger_counts_an_unchecked_event_as_missing(
    run: Run, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """It is not known to be billed."""
    assert hyperline
    path = tmp_path / "comma.ndjson"
    path.write_text(write(event(9_000, messageId="a,b")))

    done = run("ledger", str(path), "--json")

    (usage,) = [u for u in json.loads(done.stdout)["usage"] if u["sent"]["events"]]
    assert (usage["missing"], usage["billed"]["events"]) == (1, 0)


def test_rows_that_change_while_they_are_read_are_read_again(
    hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that moved to another page would otherwise be missing or repeated."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    window = Window(SEATS, MIDNIGHT, MIDNIGHT + 1)
    hyperline.respond(page(3, "a", "b"), page(3), page(2, "a", "a"))
    hyperline.respond(page(2, "a", "b"))

    rows = Reader(hyperline.url, KEY).rows(window)

    assert [row["record_id"] for row in rows] == ["a", "b"]
    hyperline.respond(*[page(2, "a"), page(2)] * 6)
    with pytest.raises(HyperlineUnavailable, match="change while they are read"):
        Reader(hyperline.url, KEY).rows(window)


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        (("--queue-url", "x"), {"AWS_DEFAULT_REGION": ""}, "the queue can't be used"),
        (("--direct",), {"HYPERLINE_API_KEY": "x", "HYPERLINE_URL": ""}, "prod_ nor"),
    ],
)
def test_a_backfill_that_cannot_send_does_not_begin(
    run: Run,
    recent: Path,
    hyperline: FakeHyperline,
    options: tuple[str, ...],
    environment: dict[str, str],
    message: str,
) -> None:
    """The comparison can last for minutes."""
    done = run("backfill", str(recent), "--yes", *options, **environment)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert hyperline.reads == []
