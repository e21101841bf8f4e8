"""Move events out of Quarantine, and show how far it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.cli.progress import show_progress
from segment_to_hyperline.cli.selections import print_notes
from segment_to_hyperline.cli.statuses import fail
from segment_to_hyperline.doctor.aws import Aws
from segment_to_hyperline.doctor.findings import Unread
from segment_to_hyperline.doctor.stack import (
    Resource,
    read_deployed_mapping,
    read_function,
)
from segment_to_hyperline.quarantine.audit import Action, write_action
from segment_to_hyperline.quarantine.moves import Move, execute
from segment_to_hyperline.quarantine.site import Site
from segment_to_hyperline.reconciliation.api.pace import Pace
from segment_to_hyperline.text import format_count

# Requests to SQS are the limit.
FASTEST = 100_000.0


def check_mapping(site: Site, mapping: Path) -> None:
    """Raise `InputError` if the Replayer has another mapping, and could drop events.

    What can't be read is only printed.
    """
    name = "Replayer"
    found = Resource(name, "", site.resources.get(name, ""))
    try:
        function = read_function(Aws(None), {name: found}, name)
        is_same = read_deployed_mapping(function) == mapping.read_bytes()
    except Unread as error:
        print_notes([f"not compared with the deployed mapping: {error}"])
        return
    if not is_same:
        raise InputError(
            f"the {name} has another mapping than {mapping}: deploy it first, or choose"
            " the deployed one with --mapping"
        )


def record(site: Site, action: Action, now: float) -> None:
    """Write the line of *action* into the audit log; without one, nothing is done."""
    write_action(site.aws, site.resources.get("AuditLog", ""), action, now)


def carry_out(site: Site, moves: Sequence[Move], rate: float) -> dict[str, str]:
    """Carry out *moves*; return the messages that stayed, and why."""
    total = sum(len(move.places) for move in moves)
    failed: dict[str, str] = {}
    done = 0
    wait = Pace(rate).wait
    with show_progress() as progress:
        for moved in execute(moves, site.quarantine, site.replay, wait):
            done += len(moved.move.places)
            progress.report("moving events", done, total)
            if moved.problem:
                failed[moved.move.message.id] = moved.problem
    print_notes(f"stayed: message {m}: {why}" for m, why in failed.items())
    return failed


def end_moves(failed: Mapping[str, str]) -> None:
    """Exit if messages stayed, whose events may have been sent."""
    if failed:
        stayed = format_count(len(failed), "message")
        fail(f"{stayed} stayed, see above; run the same command again")
