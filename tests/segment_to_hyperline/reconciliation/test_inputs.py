"""What is reconciled: any form of events, a time range, and invalid input."""

import json
from pathlib import Path

import pytest

from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import write
from tests.conftest import Queue
from tests.segment_to_hyperline.reconciliation.planted import (
    EVENTS,
    SEATS,
    Run,
    bill,
    compare,
    delete,
    event,
    ids,
)


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
    assert first["outside"] == 6_000 - 24 * 60


def test_events_that_are_not_billable_are_listed_with_the_reason(
    run: Run, archive: Path
) -> None:
    """They are no difference, but a line that can't be read is."""
    identify = event(1, type="identify", messageId="i")
    unmappable = event(2, userId=None, messageId="u")
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


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ((), {"HYPERLINE_API_KEY": ""}, "no API key: set HYPERLINE_API_KEY"),
        ((), {"HYPERLINE_API_KEY": "test_ü"}, "not allowed in an HTTP header"),
        ((), {"HYPERLINE_API_KEY": "test_wrong"}, "rejected the API key"),
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
        (("--mapping", "BAD"), {}, "BAD: not TOML: Invalid value"),
        (("none.gz",), {"HYPERLINE_API_KEY": ""}, "No such file or directory"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    run_process: Run,
    archive: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    message: str,
) -> None:
    """Nothing is half done, and the line says what to do."""
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "BLANK").write_text("")
    (tmp_path / "BAD").write_text("x = ")
    names = () if arguments and not arguments[0].startswith("--") else (str(archive),)

    done = run_process("reconcile", *names, *arguments, **environment)

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


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ("--from", "2020-01-01", "--to", "2020-02-01"),
            "the events are from 2026-01-01T00:00:00.000Z to 2026-01-05T03:59:00.000Z;",
        ),
        (
            ("--mapping", "m.toml"),
            "no event of the input is billable: of 6,000 events, 6,000 filtered; run",
        ),
    ],
)
def test_nothing_to_compare_is_an_error(
    run: Run, archive: Path, tmp_path: Path, options: tuple[str, ...], reason: str
) -> None:
    """A wrong year, or a wrong mapping, is not a match, and the message says which."""
    (tmp_path / "m.toml").write_text("[[rules]]\nignore = true\n")

    done = run("reconcile", str(archive), *options)

    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr


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
        assert (result["expected"], len(result["unreadable"])) == (999, 1)
        assert ids(result, "unexpected") == ["m-500"]


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

    result = compare(
        *(run, path, "--from", "2026-01-01", "--to", "2026-02-01"),
        *("--event-type", SEATS),
    )

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


@pytest.mark.parametrize(
    ("integrations", "options", "is_missing"),
    [
        ({"All": False}, (), False),
        ({"Webhooks (Actions)": False}, (), False),
        ({"All": False, "Webhooks (Actions)": True}, (), True),
        ({"All": False, "Ours": True}, ("--destination", "Ours"), True),
        ({"Ours": False}, ("--destination", "Ours"), False),
        ({"Ours": False}, (), True),
    ],
)
def test_an_event_that_excludes_the_destination_is_not_missing(
    run: Run,
    tmp_path: Path,
    integrations: dict[str, bool],
    options: tuple[str, ...],
    *,
    is_missing: bool,
) -> None:
    """Segment never sends it to the webhook, although it is in the archive."""
    path = tmp_path / "events.ndjson"
    chosen = event(9_000, integrations=integrations)
    path.write_text("\n".join(map(write, (chosen, event(9_001)))))

    result = compare(run, path, *options)

    assert result["missing"] == 1 + is_missing
    assert [row["kind"] for row in result["not_billable"]] == (
        [] if is_missing else ["not sent"]
    )


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", (), "the input has no events: check EVENTS"),
        ("no", (), "of 1 event, 1 unreadable; "),
        (write(event(0, userId=None)), (), "of 1 event, 1 quarantined; run"),
        (
            write(event(0, type="identify")),
            ("--event-type", SEATS, "--from", "2026-01-01"),
            "--event-type without events needs --from and --to",
        ),
    ],
)
def test_an_input_without_billable_events_is_explained(
    run: Run, tmp_path: Path, content: str, options: tuple[str, ...], message: str
) -> None:
    """A file of something else is no match, and no fault of the time range."""
    path = tmp_path / "events.ndjson"
    path.write_text(content)

    done = run("reconcile", str(path), *options)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
