"""Reading rows from Hyperline: rate limit, pages, and malformed responses."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local_stack.fake_hyperline import KEY, FakeHyperline, FakeResponse
from segment_to_hyperline.reconciliation.reader import (
    HyperlineUnavailable,
    Reader,
    Window,
)
from tests.segment_to_hyperline.reconciliation.planted import (
    MIDNIGHT,
    SEATS,
    START,
    Clock,
    Run,
    page,
    row,
)


def test_failures_of_hyperline_are_retried(
    run: Run,
    archive: Path,
    hyperline: FakeHyperline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A 429 after the time that it states."""
    clock = Clock(monkeypatch)
    began = clock.now
    hyperline.respond(FakeResponse(429, headers={"Retry-After": "20"}), 503)

    done = run("reconcile", str(archive))

    assert done.returncode == 0, done.stderr
    assert len(hyperline.reads) == 10 + 2
    assert 20 <= clock.now - began < 30


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
