"""A backfill of what is missing from an archive."""

import json
from pathlib import Path

import pytest

from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import write
from tests.conftest import Queue
from tests.segment_to_hyperline.reconciliation.planted import (
    RECENT,
    Run,
    alter,
    bill,
    delete,
    variables,
)


def test_a_backfill_shows_a_plan_first(
    run: Run, recent: Path, archive: Path, hyperline: FakeHyperline
) -> None:
    """Without --yes nothing is sent; old events are left out with a warning."""
    delete(hyperline, 10)

    done = run("backfill", str(recent), str(archive))

    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "10 to bill, 1 left out"
    assert "1 event is older than 3 days, so its invoice may be closed" in done.stdout
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
    assert message == {"code": "backfill", "reason": "backfill", "events": RECENT}


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        (("--yes",), {}, "--yes needs either --stack, --queue-url or --direct"),
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


def test_a_backfill_needs_files(run: Run) -> None:
    """The events are read twice."""
    done = run("backfill", "-", "--direct", "--yes")

    assert done.returncode == 2
    assert "is read twice, so it must be a file" in done.stderr


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        (("--queue-url", "x"), {}, "neither the URL nor the ARN of a queue"),
        (("--direct",), {"HYPERLINE_API_KEY": "x", "HYPERLINE_URL": ""}, "prod_ nor"),
    ],
)
def test_a_backfill_that_cannot_send_does_not_begin(
    run_process: Run,
    recent: Path,
    hyperline: FakeHyperline,
    options: tuple[str, ...],
    environment: dict[str, str],
    message: str,
) -> None:
    """The reconciliation can last for minutes."""
    done = run_process("backfill", str(recent), "--yes", *options, **environment)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert hyperline.reads == []


def test_a_backfill_leaves_out_what_segment_does_not_send(
    run: Run, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """A later version that excludes the destination doesn't replace what was sent."""
    excluded = RECENT[0] | {"integrations": {"All": False}, "properties": {"seats": 9}}
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(map(write, (*RECENT[:2], excluded))))

    done = run("backfill", str(path), "--direct", "--yes")

    assert done.stdout.count("sent  ") == 2
    record = json.loads(hyperline.store[RECENT[0]["event"], RECENT[0]["messageId"]])[
        "record"
    ]
    assert record["seats"] == RECENT[0]["properties"]["seats"]
