"""The synthetic days consist of what really happens."""

import json

import pytest

from segment_to_hyperline.simulation.model import SCHEDULE
from tests.monitoring.days import DAY, HOUR, LOW, Days, Rate
from tests.monitoring.deployed import Deployed
from tests.monitoring.lines import AGES, STACK, Lines
from tests.monitoring.metrics import Metric, read_emf

# The status of each response, and a metric that only such a line has.
SITUATIONS = {
    "delivered": (200, "Delivered"),
    "filtered": (200, "Filtered"),
    "unauthorized": (401, "Unauthorized"),
    "stranger": (401, "Unauthorized"),
    "malformed": (400, "Malformed"),
    "crashed": (500, "Unaccounted"),
    "quarantined": (422, "Quarantined"),
    "pending": (503, "Pending"),
    "limited": (429, "Pending"),
    "parked": (200, "Parked"),
    "key pending": (503, "KeyRejected"),
    "key parked": (200, "KeyRejected"),
    "no secret": (503, "SecretErrors"),
    "previous secret": (503, "PreviousSecret"),
}


def read(line: str) -> dict[str, float]:
    """Return the metrics of a line by name."""
    return {metric.name: value for metric, value in read_emf(line)}


def test_each_line_is_that_of_its_situation(lines: Lines) -> None:
    """What is recorded is not the line of another failure."""
    found = lines.responses

    assert found.keys() == SITUATIONS.keys()
    for name, (status, metric) in SITUATIONS.items():
        assert found[name].status == status
        assert read(found[name].line)[metric] == 1
    assert read(lines.replayed)["Delivered"] == 1
    for age in AGES:
        waiting = read(lines.waiting[age])
        assert waiting["OldestEvent"] == pytest.approx(age * 3600, abs=60)
        assert waiting["OldestEvent"] > age * 3600


def find_minutes(days: Days, name: str) -> list[int]:
    """Return the minutes in which the Receiver counted something."""
    dimensions = {"service": "receiver", "stack": STACK}
    metric = Metric.create("SegmentToHyperline", name, **dimensions)
    points = days.metrics.points[metric]
    return sorted(minute for minute, values in points.items() if any(values))


def test_segment_retries_what_it_can(lines: Lines, deployed: Deployed) -> None:
    """5xx at the assumed times for 4 hours, and never after a final response."""
    once = Rate(1, every=DAY)

    failing = Days(deployed, lines).events(once, {0: "no secret"})
    rejected = Days(deployed, lines).events(once, {0: "unauthorized"})
    down = Days(deployed, lines).events(once, {0: "down"})
    short = Days(deployed, lines).events(once, {0: "down", 2: "delivered"})

    assert find_minutes(failing, "SecretErrors") == list(SCHEDULE)
    assert find_minutes(rejected, "Unauthorized") == [0]
    assert find_minutes(down, "Pending") == [0, 1, 3, 7]
    assert find_minutes(down, "Parked") == [15]
    assert find_minutes(short, "Pending") == [0, 1]
    assert find_minutes(short, "Delivered") == [3]


def test_events_arrive_in_chosen_hours(lines: Lines, deployed: Deployed) -> None:
    """In these hours of these days."""
    days = Days(deployed, lines, 3 * DAY).events(LOW, hours=range(6, 9), days=[1])

    assert find_minutes(days, "Delivered") == [DAY + 6 * HOUR, DAY + 8 * HOUR]


def find_values(days: Days, name: str) -> list[float]:
    """Return the values of a metric of Quarantine."""
    metric = Metric.create("AWS/SQS", name, QueueName="${Quarantine.QueueName}")
    return [
        value for values in days.metrics.points[metric].values() for value in values
    ]


def test_a_message_that_was_received_three_times_has_no_age(
    lines: Lines, deployed: Deployed
) -> None:
    """SQS leaves it out, and a received message is invisible for a while."""
    days = Days(deployed, lines, 8).quarantine(1, 7, looks=[2, 3, 5])

    ages = find_values(days, "ApproximateAgeOfOldestMessage")
    visible = find_values(days, "ApproximateNumberOfMessagesVisible")
    assert ages == [0, 0, 60, 120, 180, 0, 0, 0]
    assert visible == [0, 1, 0, 0, 1, 0, 1, 0]


def test_the_access_log_has_the_fields_of_the_template(deployed: Deployed) -> None:
    """The lines from which metric filters count are JSON."""
    template = deployed.access_format.replace("$context.status", "404")

    assert (
        json.loads(template.replace("$context.responseLatency", "5"))["status"] == 404
    )
