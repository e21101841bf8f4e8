"""The plan of `backfill`: a file that is written, looked at, and carried out."""

import json
from pathlib import Path
from typing import Any

import pytest

from local_stack.fake_api import FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.reconciliation.plan import read_plan, write_plan
from tests.conftest import Queue
from tests.segment_to_hyperline.cli.backfills import (
    RECENT,
    Backfill,
    bill,
    count_done,
    event,
    ids,
)


def test_a_plan_is_carried_out_later(
    backfill: Backfill, hyperline: FakeHyperline, tmp_path: Path
) -> None:
    """Writing it changes nothing; carrying it out a second time neither."""
    plan = tmp_path / "my plan.ndjson"
    arguments = "--plan", str(plan), "--direct"

    written = backfill(RECENT, *arguments)
    requests = list(hyperline.requests)
    first = backfill(None, "--plan", str(plan), "--yes")
    second = backfill(None, "--plan", str(plan), "--yes")

    assert (written.exit_code, requests) == (0, [])
    assert f"segment-to-hyperline backfill --plan '{plan}' --yes" in written.stdout
    assert count_done(first) == {("done", "post"): 4}
    assert count_done(second) == {("done before", "post"): 4}
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert len(hyperline.requests) == 4
    assert plan.exists()


def test_a_plan_for_the_queue_has_whole_events(
    backfill: Backfill, replay_queue: Queue, tmp_path: Path
) -> None:
    """As Segment sent them, also if the input was deleted meanwhile."""
    plan = tmp_path / "plan.ndjson"
    backfill(RECENT, "--plan", str(plan))
    (tmp_path / "events.ndjson").unlink()

    done = backfill(None, "--plan", str(plan), "--yes", "--queue-url", replay_queue.url)

    assert (done.exit_code, count_done(done)) == (0, {("done", "post"): 4})
    (message,) = replay_queue.messages()
    assert message["events"] == RECENT


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing argument 'EVENTS...', or --plan"),
        (("--plan", "none.ndjson"), "none.ndjson doesn't exist: make it with EVENTS"),
        (("--plan", "queue.ndjson", "--yes"), "--yes needs --stack or --queue-url"),
        (("--plan", "other.ndjson", "--yes"), "isn't a complete plan"),
        (("--plan", "queue.ndjson", "--old"), "--old has no effect on a plan that"),
        (("--plan", "queue.ndjson", "--from", "2026-01-01"), "--from has no effect on"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_reported(
    backfill: Backfill,
    hyperline: FakeHyperline,
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    """Before anything is read or changed."""
    backfill(RECENT, "--plan", "queue.ndjson")
    (tmp_path / "other.ndjson").write_text("{}")
    hyperline.reads.clear()

    done = backfill(None, *arguments)

    assert done.exit_code == 2
    assert message in done.stderr
    assert (hyperline.reads, hyperline.requests) == ([], [])


def test_a_plan_is_never_overwritten(
    backfill: Backfill, hyperline: FakeHyperline, tmp_path: Path
) -> None:
    """It may not be finished."""
    plan = tmp_path / "plan.ndjson"
    plan.write_text("a plan")

    done = backfill(RECENT, "--plan", str(plan), "--yes", "--direct")

    assert done.exit_code == 2
    assert "exists: to carry it out, leave out EVENTS" in done.stderr
    assert plan.read_text() == "a plan"
    assert (hyperline.reads, hyperline.requests) == ([], [])


def test_a_plan_is_for_one_host_and_environment(
    backfill: Backfill, hyperline: FakeHyperline
) -> None:
    """Events of the sandbox must not be billed in production."""
    backfill(RECENT, "--plan", "plan.ndjson", "--direct")
    plan = read_plan(Path("plan.ndjson"))
    header = plan.header._replace(environment="production")
    write_plan(plan._replace(header=header), Path("other.ndjson"))

    done = backfill(None, "--plan", "other.ndjson", "--yes")

    assert done.exit_code == 2
    assert "the plan was made for" in done.stderr
    assert "(production), and the API key and the host are those of" in done.stderr
    assert hyperline.requests == []


def test_an_interrupted_plan_is_kept(
    backfill: Backfill, hyperline: FakeHyperline, tmp_path: Path
) -> None:
    """Also one that nobody chose a file for; the message has the command."""
    hyperline.unknown_customers.add("nobody")

    done = backfill([*RECENT, event(5, userId="nobody")], "--direct", "--yes")

    assert done.exit_code == 1
    (plan,) = tmp_path.glob("backfill-*.ndjson")
    assert f"segment-to-hyperline backfill --plan {plan.name} --yes" in done.stderr
    hyperline.unknown_customers.clear()
    again = backfill(None, "--plan", plan.name, "--yes")
    assert count_done(again) == {("done before", "post"): 4, ("done", "post"): 1}
    assert ids(hyperline) == {"m-0", "m-1", "m-2", "m-3", "m-5"}


def test_a_plan_that_could_not_be_finished_says_how_to_continue(
    backfill: Backfill, hyperline: FakeHyperline
) -> None:
    """After an outage of more than 5 minutes."""
    backfill(RECENT, "--plan", "plan.ndjson", "--direct")
    hyperline.outage = FakeResponse(503)

    done = backfill(None, "--plan", "plan.ndjson", "--yes")

    assert done.exit_code == 3
    assert "The plan is not finished; to continue: segment-to-hyperline" in done.stderr


def test_many_failures_are_counted(
    backfill: Backfill, hyperline: FakeHyperline
) -> None:
    """The first ones are listed."""
    hyperline.unknown_customers.add("nobody")
    events = [event(number, userId="nobody") for number in range(25)]

    done = backfill(events, "--direct", "--yes")

    assert done.stdout.count("FAILED: post") == 20
    assert done.stdout.endswith("and 5 more\n")
    assert done.stderr.startswith("Failed: 25 items of the plan could not be done")


def test_what_should_not_be_billed_is_deleted_if_that_is_asked_for(
    backfill: Backfill, hyperline: FakeHyperline, tmp_path: Path
) -> None:
    """By the ids of events in the input, and by listed ones."""
    events = [*RECENT, event(5, type="identify")]
    bill(hyperline, *RECENT, event(5), event(6), event(7))
    (tmp_path / "ids.txt").write_text("m-7\r\n\n")
    options = "--delete-unexpected", "--delete-ids", "ids.txt", "--direct", "--yes"

    done = backfill(events, *options)

    assert (done.exit_code, count_done(done)) == (0, {("done", "delete"): 2})
    assert ids(hyperline) == {"m-0", "m-1", "m-2", "m-3", "m-6"}


def test_a_list_of_ids_that_is_no_text_is_reported(
    backfill: Backfill, tmp_path: Path
) -> None:
    """In one line."""
    (tmp_path / "ids.txt").write_bytes(b"\xff")

    done = backfill(RECENT, "--delete-ids", "ids.txt")

    assert done.exit_code == 2
    assert "'ids.txt' can't be read as a text in UTF-8" in done.stderr


@pytest.mark.parametrize("command", ["reconcile", "ledger", "backfill"])
def test_too_many_differences_are_not_listed(
    backfill: Backfill, hyperline: FakeHyperline, command: str
) -> None:
    """The totals show what is wrong, and nothing is planned."""
    done = backfill(RECENT, "--max", "3", command=command)

    assert done.exit_code == 1
    assert "there are more than 3 differences: check --mapping, --from" in done.stderr
    assert "m-0" not in done.stdout
    assert hyperline.requests == []


@pytest.mark.parametrize("form", ["text", "json", "csv", "markdown"])
def test_each_format_has_the_totals_of_too_many_differences(
    backfill: Backfill, hyperline: FakeHyperline, form: str
) -> None:
    """And says where it is from."""
    options = "--max", "3", "--format", form

    done = backfill(RECENT, *options, command="reconcile")

    assert done.exit_code == 1
    assert hyperline.url in done.stdout
    assert "too many differences" in done.stdout or form == "json"
    if form == "json":
        content = json.loads(done.stdout)
        assert (content["complete"], content["findings"]) == (False, [])
        assert content["totals"] == [
            {"event_type": "Seats Added", "expected": 4, "actual": 0}
        ]


def test_every_line_fits_a_terminal(
    backfill: Backfill, hyperline: FakeHyperline
) -> None:
    """Whatever the names and values are."""
    long: dict[str, Any] = {"event": "E" * 90, "userId": "u" * 90}
    events = [event(n, **long) | {"messageId": f"{n}" * 90} for n in range(1, 4)]
    bill(hyperline, event(1, properties={"p" * 90: "v" * 90}, **long))

    for command in ("reconcile", "ledger", "backfill"):
        done = backfill(events, command=command)
        assert max(map(len, done.stdout.splitlines())) == 80, done.stdout


def test_what_was_changed_since_is_reported(
    backfill: Backfill, hyperline: FakeHyperline
) -> None:
    """And left alone."""
    backfill(RECENT, "--plan", "plan.ndjson", "--direct")
    bill(hyperline, event(0, properties={"seats": 99}))

    done = backfill(None, "--plan", "plan.ndjson", "--yes")

    changed = "changed since the plan was made"
    assert count_done(done) == {("done", "post"): 3, (changed, "post"): 1}
    assert f"{changed}: post  Seats Added  m-0\n" in done.stdout
    assert done.exit_code == 1
    assert json.loads(hyperline.store["Seats Added", "m-0"])["record"]["seats"] == 99
