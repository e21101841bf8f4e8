"""The commands `replay`."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from segment_to_hyperline.attributes import write_time
from segment_to_hyperline.cli.given import reject_given
from segment_to_hyperline.cli.inputs import find_now
from segment_to_hyperline.cli.selections import Options, takes_stack
from segment_to_hyperline.cli.statuses import format_epilog
from segment_to_hyperline.installed.stack import find_stack
from segment_to_hyperline.quarantine.history import read_lines
from segment_to_hyperline.quarantine.queue import BATCH
from segment_to_hyperline.quarantine.site import Site
from segment_to_hyperline.quarantine.waiting import read_message
from segment_to_hyperline.text import format_count, list_counts, make_printable

_HOUR = 60 * 60
_METRIC_MINUTES = 15


@click.group(epilog=format_epilog("replay list"))
def replay() -> None:
    """See what waits in Replay, until the Replayer can bill it."""


@replay.command(
    "list",
    short_help="Show how many messages wait, and why.",
    epilog=format_epilog("replay list"),
)
@takes_stack
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True),
    default=3,
    show_default=True,
    help="How far back the log is read.",
)
@click.option(
    "--sample",
    is_flag=True,
    help="Also receive up to 10 messages, which counts as an attempt to bill them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def list_replay(options: Options, *, hours: float, sample: bool, as_json: bool) -> None:
    """Show how many messages wait, since when, and why, without receiving them.

    The numbers and the age are those of SQS and CloudWatch, and the reasons are those
    of the Replayer's log.
    """
    if not sample:
        reject_given(["--mapping"], "without --sample")
    site = Site.create(find_stack(options.stack, options.region))
    found = read_replay(site, find_now(), hours)
    if sample:
        found["sample"] = read_sample(site, options)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    print_replay(found, hours)


def read_replay(site: Site, now: float, hours: float) -> dict[str, Any]:
    """Return the numbers, the age and the reasons."""
    state = site.replay.read_state()
    reasons = Counter[str]()
    pattern = "{ $.unfinished > 0 || $.Parked[0] > 0 }"
    for line, _ in read_lines(
        site.aws, site.resources["ReplayerLog"], pattern, now - hours * _HOUR
    ):
        for group in line.get("events", ()):
            if group.get("outcome") in {"parked", "pending"}:
                name = f"{group.get('code')}: {group.get('reason')}"
                reasons[name] += group.get("count", 0)
    return {
        "waiting": state.visible,
        "hidden": state.hidden,
        "oldest_seconds": find_age(site, now),
        "attempts": reasons,
    }


def find_age(site: Site, now: float) -> float | None:
    """Return the age of the oldest message, if CloudWatch has it."""
    end = datetime.fromtimestamp(now, UTC)
    name = site.resources["Replay"].rpartition("/")[2]
    found = site.aws.call(
        *("cloudwatch", "GetMetricStatistics"),
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": name}],
        StartTime=end - timedelta(minutes=_METRIC_MINUTES),
        EndTime=end,
        Period=60,
        Statistics=["Maximum"],
    )
    points = sorted(found["Datapoints"], key=lambda point: point["Timestamp"])
    return points[-1]["Maximum"] if points else None


def read_sample(site: Site, options: Options) -> list[dict[str, Any]]:
    """Return up to ten messages, which are visible again at once."""
    with site.replay.look(most=BATCH) as messages:
        return [
            {
                "message": message.id,
                "stored_at": write_time(message.first_sent_at),
                "receives": message.receives,
                "events": [
                    {"messageId": event.message_id, "reason": event.reason}
                    for event in read_message(message, options.load_rules())
                ],
            }
            for message in messages
        ]


def print_replay(found: dict[str, Any], hours: float) -> None:
    """Print what waits in Replay for people."""
    waiting = format_count(found["waiting"], "message")
    click.echo(f"{waiting} waiting, {found['hidden']:,} delayed or being billed")
    age = found["oldest_seconds"]
    since = "unknown" if age is None else f"{age / _HOUR:,.1f} hours"
    click.echo(f"age of the oldest message, by CloudWatch: {since}")
    if found["attempts"]:
        click.echo(f"attempts that failed in the last {hours:g} hours, by reason:")
        click.echo("\n".join(list_counts(found["attempts"])))
    for message in found.get("sample", ()):
        head = f"{message['message']}  since {message['stored_at']}"
        click.echo(f"{head}, received {message['receives']} times")
        for event in message["events"]:
            click.echo(f"    {event['messageId']}  {make_printable(event['reason'])}")
