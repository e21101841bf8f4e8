"""Which alarm notifies, and how soon, when something goes wrong; and when none does.

The evaluation of the alarms is that of CloudWatch's documentation. Where it is silent,
the scenarios hold for each of `WORLDS`. docs/operations.md has the times.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.monitoring.alarms import (
    ALARM,
    OK,
    Alarm,
    Change,
    Composite,
    find_changes,
    find_notifications,
)
from tests.monitoring.days import DAY, HIGH, HOUR, LOW, Days, Rate
from tests.monitoring.deployed import Deployed, read_deployed
from tests.monitoring.expressions import Semantics
from tests.monitoring.lines import STACK, STRANGER, Lines
from tests.monitoring.metrics import Metric

OPERATIONS = Path(__file__).parents[2] / "docs/operations.md"
WORLDS = [
    Semantics(),
    Semantics(extra_periods=3),
    Semantics(missing_is_zero=False, fills_empty=False),
    Semantics(extra_periods=3, missing_is_zero=False, fills_empty=False),
]
# When something goes wrong, unless a scenario says otherwise: at 10 a.m.
T = 10 * HOUR
LIMITS = {HIGH: 3 * HOUR, LOW: 6 * HOUR}
MAX_NOTIFICATIONS = 2  # of an alarm in a day
OFFICE = range(9, 17)
WORKDAYS = range(5)


class Scenario(NamedTuple):
    """What goes wrong from minute *since*, and the alarm that notifies.

    *limit* is after how many minutes it must have, if it isn't that of the rate.
    """

    what: str
    alarm: str
    live: Callable[[Days, Rate], Days]
    rates: Sequence[Rate] = (HIGH, LOW)
    since: int = T
    end: int = DAY
    limit: int | None = None


def share(percent: int, condition: str) -> Callable[[Days, Rate], Days]:
    """Return days on which *percent* of the events have a *condition* from T."""

    def live(days: Days, rate: Rate) -> Days:
        affected = rate.events * percent // 100
        days.events(Rate(rate.events - affected, rate.every))
        return days.events(Rate(affected, rate.every), {T: condition})

    return live


def everything(condition: str) -> Callable[[Days, Rate], Days]:
    """Return days on which all events have a *condition* from T."""
    return lambda days, rate: days.events(rate, {T: condition})


SCENARIOS = [
    Scenario(
        "Every event is rejected with 401", "RejectedAlarm", everything("unauthorized")
    ),
    Scenario(
        "Every event is rejected with 401 for 9 minutes",
        "RejectedAlarm",
        lambda days, rate: days.events(rate, {T: "unauthorized", T + 9: "delivered"}),
        [HIGH],
    ),
    Scenario(
        "A second source has a wrong secret, and sends 4% of the events",
        "RejectedAlarm",
        share(4, "unauthorized"),
        [HIGH],
    ),
    Scenario(
        "Every body is rejected with 400", "RejectedAlarm", everything("malformed")
    ),
    Scenario("Every URL has a wrong path", "UnreachedAlarm", everything("wrong path")),
    Scenario(
        "19% of the URLs have a wrong path",
        "UnreachedAlarm",
        share(19, "wrong path"),
        [HIGH],
    ),
    Scenario(
        "API Gateway rejects one batch with 413",
        "UnreachedAlarm",
        lambda days, rate: days.events(rate).request("too large", T),
    ),
    Scenario(
        "Segment signs with the previous secret",
        "PreviousSecretAlarm",
        everything("previous secret"),
    ),
    Scenario("The secret is deleted", "PendingAlarm", everything("no secret")),
    Scenario("Hyperline is down", "PendingAlarm", everything("down")),
    Scenario(
        "Hyperline rejects the API key", "KeyRejectedAlarm", everything("key rejected")
    ),
    Scenario(
        "One event can't be billed",
        "QuarantineAlarm",
        lambda days, rate: days.events(rate).request("quarantined", T).quarantine(),
    ),
    Scenario(
        "Hyperline rejects every event, and `Quarantine` has an old message",
        "QuarantineRateAlarm",
        lambda days, rate: days.events(rate, {T: "quarantined"}).quarantine(0),
    ),
    Scenario(
        "Events arrive, and none is delivered any more: their name has changed",
        "UndeliveredAlarm",
        everything("filtered"),
        end=3 * DAY,
        limit=24 * HOUR,
    ),
    Scenario(
        "The same, and events arrive from 9 to 17 o'clock",
        "UndeliveredAlarm",
        lambda days, rate: days.events(rate, {T: "filtered"}, OFFICE),
        [HIGH],
        end=3 * DAY,
        limit=24 * HOUR,
    ),
    Scenario(
        "The `Receiver` doesn't start any more",
        "ReceiverErrorsAlarm",
        everything("not started"),
    ),
    Scenario(
        "Hyperline is down, and after 5 hours the `Receiver` doesn't start any more",
        "ReceiverErrorsAlarm",
        lambda days, rate: days.events(rate, {T - 5 * HOUR: "down", T: "not started"}),
    ),
    Scenario(
        "10% of the requests crash the `Receiver` before it reads them",
        "ReceiverErrorsAlarm",
        share(10, "not started"),
        [HIGH],
    ),
    Scenario(
        "The `Receiver` crashes with an event",
        "UnaccountedAlarm",
        lambda days, rate: days.events(rate, {T: "crashed", T + 1: "delivered"}),
    ),
    Scenario(
        "Lambda throttles 10% of the requests, or all",
        "ThrottlesAlarm",
        lambda days, rate: (
            share(10, "throttled")(days, rate)
            if rate is HIGH
            else everything("throttled")(days, rate)
        ),
    ),
    Scenario(
        "2% of the requests take 2.8 seconds",
        "DurationAlarm",
        lambda days, rate: days.events(rate).slow(rate, 2, 2_800, T),
        [HIGH],
    ),
    Scenario(
        "1% of the requests exceed `MaxRequestsPerSecond`",
        "RateLimitAlarm",
        share(1, "rate exceeded"),
        [HIGH],
    ),
    Scenario(
        "Hyperline is down, and after 5 hours the `Replayer` crashes",
        "ReplayerErrorsAlarm",
        lambda days, rate: days.events(rate, {T - 5 * HOUR: "down"}).replay(
            T - 5 * HOUR, days.end, {T - 5 * HOUR: "down", T: "crashing"}
        ),
    ),
    Scenario(
        "The `Replayer`'s event source is disabled, and an event is parked",
        "ReplayAgeAlarm",
        lambda days, rate: days.events(rate).replay(T, days.end, {T: "disabled"}),
        end=2 * DAY,
    ),
    Scenario(
        "An event can't be delivered for a day, and stays in `Replay`",
        "ReplayAlarm",
        lambda days, rate: days.events(rate).replay(T, days.end, {T: "down"}),
        [LOW],
        end=3 * DAY,
        limit=25 * HOUR,
    ),
    Scenario(
        "A message stays in `Quarantine` for a day",
        "QuarantineAgeAlarm",
        lambda days, rate: days.events(rate).quarantine(T),
        [LOW],
        end=3 * DAY,
        limit=25 * HOUR,
    ),
    Scenario(
        "The same, and a person looks at it every hour",
        "QuarantineAgeAlarm",
        lambda days, rate: days.events(rate).quarantine(
            T, looks=range(T + 30, days.end, HOUR)
        ),
        [LOW],
        end=3 * DAY,
        limit=25 * HOUR,
    ),
    Scenario(
        "The same, and commands hide it all the time",
        "QuarantineAgeAlarm",
        lambda days, rate: days.events(rate).quarantine(T, looks=range(T, days.end)),
        [LOW],
        end=3 * DAY,
        limit=25 * HOUR,
    ),
    # A message is deleted after 14 days. An alarm notifies at least 3 days before.
    Scenario(
        "A message stays in `Quarantine` until it is almost deleted",
        "QuarantineRetentionAlarm",
        lambda days, rate: days.events(rate).quarantine(T),
        [LOW],
        end=14 * DAY,
        limit=11 * DAY,
    ),
    Scenario(
        "The same, although a person looks at it every day",
        "QuarantineRetentionAlarm",
        lambda days, rate: days.events(rate).quarantine(
            T, looks=range(T + HOUR, days.end, DAY)
        ),
        [LOW],
        end=14 * DAY,
        limit=11 * DAY,
    ),
    Scenario(
        "A message stays in `Replay`, whose event source is disabled",
        "ReplayRetentionAlarm",
        lambda days, rate: days.events(rate).replay(T, days.end, {T: "disabled"}),
        [LOW],
        end=12 * DAY,
        limit=11 * DAY,
    ),
]


def scan(days: Days, minutes: Iterable[int], times: int = 1) -> Days:
    """Let a stranger send requests: to other paths, and without a signature."""
    for minute in minutes:
        days.request("wrong path", minute, times, STRANGER)
        days.request("stranger", minute, times)
    return days


class Calm(NamedTuple):
    """What must not notify, from minute *since*."""

    what: str
    live: Callable[[Days, Rate], Days]
    rates: Sequence[Rate] = (HIGH, LOW)
    since: int = 0
    end: int = DAY


CALM = [
    Calm("nothing goes wrong", lambda days, rate: days.events(rate)),
    Calm("a new stack without events", lambda days, _rate: days, [LOW], end=3 * DAY),
    Calm(
        "a fast scan", lambda days, rate: scan(days.events(rate), range(T, T + 3), 167)
    ),
    Calm("a fast scan without events", lambda days, _: scan(days, [T, T + 2], 250)),
    Calm(
        "a slow scan without events",
        lambda days, _rate: scan(days, range(0, days.end, 20)),
        [LOW],
    ),
    Calm("stray requests", lambda days, rate: scan(days.events(rate), [T, T + HOUR])),
    Calm(
        "Hyperline is down for five minutes",
        lambda days, rate: days.events(rate, {T: "down", T + 5: "delivered"}),
    ),
    Calm(
        "Hyperline limits the rate of a fifth of the events for an hour",
        lambda days, rate: days.events(Rate(480)).events(
            Rate(rate.events // 5), {T: "busy", T + HOUR: "delivered"}
        ),
        [HIGH],
    ),
    Calm(
        "nights without events",
        lambda days, rate: days.events(rate, hours=range(6, 22)),
        end=3 * DAY,
    ),
    Calm(
        "a weekend without events",
        lambda days, rate: days.events(rate, hours=OFFICE, days=WORKDAYS),
        end=9 * DAY,
    ),
    Calm(
        "the first events after a weekend are not billed",
        lambda days, rate: days.events(
            rate,
            {7 * DAY: "filtered", 7 * DAY + 11 * HOUR: "delivered"},
            OFFICE,
            WORKDAYS,
        ),
        end=9 * DAY,
    ),
    Calm(
        "the first events of a new stack are not billed",
        lambda days, rate: days.events(rate, {0: "filtered", 5 * HOUR: "delivered"}),
    ),
    Calm(
        "a thousandth of the events is billed",
        lambda days, _rate: days.events(Rate(1, HOUR)).events(
            Rate(17), {0: "filtered"}
        ),
        [HIGH],
        end=2 * DAY,
    ),
    Calm(
        "single failures",
        lambda days, rate: (
            days.events(rate)
            .request("throttled", T)
            .request("key pending", T + 10)
            .request("rate exceeded", T + 20)
        ),
    ),
    Calm(
        "a deployment",
        lambda days, rate: days.events(rate).request("not started", T, 5),
    ),
    Calm(
        "requests fail for a minute while a version is deployed",
        lambda days, rate: days.events(rate, {T: "not started", T + 1: "delivered"}),
    ),
    Calm(
        "a redrive",
        lambda days, rate: days.events(rate).quarantine(0, T).redrive(T + 1),
        since=T,
    ),
]


type Notifications = list[list[int]]


def notify(days: Days, alarm: Alarm | Composite) -> Notifications:
    """Return at which minutes the alarm notifies, for each world that may differ."""
    worlds = WORLDS if alarm.expressions else WORLDS[:2]
    return [find_notifications(alarm, days.metrics, days.end, w) for w in worlds]


def find_delay(found: Notifications, since: int) -> float:
    """Return after how many minutes the alarm notifies in the slowest world."""
    firsts = (min((m for m in each if m >= since), default=math.inf) for each in found)
    return max(firsts) - since


CASES = [(scenario, rate) for scenario in SCENARIOS for rate in scenario.rates]


@pytest.mark.parametrize(
    ("scenario", "rate"), CASES, ids=lambda value: getattr(value, "what", "")
)
def test_the_alarm_notifies(
    lines: Lines, deployed: Deployed, scenario: Scenario, rate: Rate
) -> None:
    """The alarm notifies within the limit, and as docs/operations.md says.

    A person who gets ten messages about one outage doesn't read the next one.
    """
    days = scenario.live(Days(deployed, lines, scenario.end), rate)
    notified = {name: notify(days, alarm) for name, alarm in deployed.alarms.items()}

    minutes = find_delay(notified[scenario.alarm], scenario.since)
    assert minutes <= (scenario.limit or LIMITS[rate])
    assert format_duration(minutes) == read_documented(scenario, rate)
    most = MAX_NOTIFICATIONS * days.end / DAY
    often = {name for name, each in notified.items() if max(map(len, each)) > most}
    assert often == set()


CALM_CASES = [(calm, rate) for calm in CALM for rate in calm.rates]


@pytest.mark.parametrize(
    ("calm", "rate"), CALM_CASES, ids=lambda value: getattr(value, "what", "")
)
def test_no_alarm_notifies(
    lines: Lines, deployed: Deployed, calm: Calm, rate: Rate
) -> None:
    """No alarm notifies of what needs no action."""
    days = calm.live(Days(deployed, lines, calm.end), rate)

    notified = {
        name
        for name, alarm in deployed.alarms.items()
        if any(m >= calm.since for each in notify(days, alarm) for m in each)
    }
    assert notified == set()


def create_found(name: str) -> Metric:
    """Return a metric of what the DailyCheck found."""
    return Metric.create("SegmentToHyperline", name, service="daily-check", stack=STACK)


FOUND = [
    create_found(name)
    for name in ("Missing", "Different", "Unexpected", "Unproven", "Quarantined")
]
CHECK_ERRORS = Metric.create(
    "AWS/Lambda", "Errors", FunctionName="${Reconciliation.Outputs.Function}"
)


@pytest.mark.parametrize("differing", FOUND)
@pytest.mark.parametrize(("value", "minutes"), [(1, 1), (0, math.inf)])
def test_a_daily_check_that_differs_notifies(
    lines: Lines, differing: Metric, value: int, minutes: float
) -> None:
    """Once, when the check has ended, whatever the kind of the difference is."""
    deployed = read_deployed(ArchiveBucket="archive")
    days = Days(deployed, lines, 2 * DAY)
    for metric in [*FOUND, create_found("Expected")]:
        days.metrics.put(metric, T, value if metric is differing else 0)

    found = notify(days, deployed.alarms["DiscrepancyAlarm"])

    assert find_delay(found, T) == minutes
    assert max(map(len, found)) <= 1
    assert "DiscrepancyAlarm" not in read_deployed().alarms


@pytest.mark.parametrize(("value", "minutes"), [(1, 1), (0, math.inf)])
def test_a_daily_check_that_fails_notifies(
    lines: Lines, value: int, minutes: float
) -> None:
    """There is no such alarm without it."""
    deployed = read_deployed(ArchiveBucket="archive")
    days = Days(deployed, lines, 2 * DAY)
    days.metrics.put(CHECK_ERRORS, T, value)

    found = notify(days, deployed.alarms["DailyCheckErrorsAlarm"])

    assert find_delay(found, T) == minutes
    assert "DailyCheckErrorsAlarm" not in read_deployed().alarms


# When the two checks of a day begin, and how long one can take.
CHECKS, CHECK_MINUTES = (6 * HOUR, 7 * HOUR), 15


@pytest.mark.parametrize(
    ("alarm", "metrics", "took"),
    [
        ("DiscrepancyAlarm", FOUND, CHECK_MINUTES),
        ("DailyCheckErrorsAlarm", [CHECK_ERRORS], 0),  # the time of the invocation
    ],
)
def test_a_daily_check_notifies_each_time(
    lines: Lines, alarm: str, metrics: list[Metric], took: int
) -> None:
    """Of both checks of each day, also if that of the day before was wrong too."""
    days = Days(read_deployed(ArchiveBucket="archive"), lines, 3 * DAY)
    for day in range(3):
        for metric in metrics:
            days.metrics.put(metric, day * DAY + CHECKS[0] + took, 1)
            days.metrics.put(metric, day * DAY + CHECKS[1], 1)

    found = notify(days, read_deployed(ArchiveBucket="archive").alarms[alarm])

    assert [len(each) for each in found] == [6] * len(found)


def test_an_error_at_the_end_of_a_daily_check_is_seen() -> None:
    """Lambda's metrics have the time at which the invocation began."""
    alarm = read_deployed(ArchiveBucket="archive").alarms["DailyCheckErrorsAlarm"]

    assert isinstance(alarm, Alarm)
    assert alarm.period * alarm.evaluation_periods > CHECK_MINUTES + 10


def count_checks(
    lines: Lines, end: int, checks: Iterable[int], deployed: int = 0
) -> Days:
    """Return days until *end*, on which *checks* ended, and before them a deployment.

    *deployed* is its minute; its metrics are those of the first checks.
    """
    days = Days(read_deployed(ArchiveBucket="archive"), lines, end)
    for minute in [deployed - 2 * HOUR, deployed - HOUR, *checks]:
        days.metrics.put(create_found("Expected"), minute, 0)
    return days


def find_overdue(days: Days) -> list[list[Change]]:
    """Return the changes of the alarm for checks that didn't run, for each world."""
    alarm = read_deployed(ArchiveBucket="archive").alarms["DailyCheckOverdueAlarm"]
    assert isinstance(alarm, Alarm)
    return [[*find_changes(alarm, days.metrics, days.end, w)] for w in WORLDS[:2]]


@pytest.mark.parametrize("hour", range(24))
def test_checks_that_run_each_day_do_not_notify(lines: Lines, hour: int) -> None:
    """However long they take, and also on the day of the first deployment."""
    deployed = 2 * DAY + hour * HOUR + 30
    took = itertools.cycle((1, CHECK_MINUTES, CHECK_MINUTES, 1, 8))
    begins = [day * DAY + begin for day in range(2, 9) for begin in CHECKS]
    ends = [begin + next(took) for begin in begins if begin > deployed]

    for changes in find_overdue(count_checks(lines, 9 * DAY, ends, deployed)):
        # Without a deployment it would be raised; the first evaluation after it is OK.
        assert [change.state for change in changes] == [ALARM, OK]
        assert changes[-1].minute < deployed + HOUR


@pytest.mark.parametrize("left", [(), CHECKS[:1], CHECKS[1:]])
def test_a_check_that_does_not_run_notifies(lines: Lines, left: Sequence[int]) -> None:
    """Within 9 hours after it should have run, also if the other one runs."""
    ends = [day * DAY + begin + 1 for day in range(5) for begin in CHECKS]
    ends += [day * DAY + begin + 1 for day in range(5, 8) for begin in left]
    missed = 5 * DAY + next(begin for begin in CHECKS if begin not in left)

    for changes in find_overdue(count_checks(lines, 8 * DAY, ends, 2 * HOUR)):
        raised = [change.minute for change in changes if change.state == ALARM]
        assert raised[0] < 2 * HOUR
        assert missed < raised[1] <= missed + 9 * HOUR


@pytest.mark.parametrize(("stop", "minutes"), [(T, 4 * HOUR), (2 * DAY, math.inf)])
def test_silence_notifies_after_the_hours_of_its_parameter(
    lines: Lines, stop: int, minutes: float
) -> None:
    """One event an hour is enough to be no silence."""
    deployed = read_deployed(SilenceHours="4")
    days = Days(deployed, lines, 2 * DAY)
    for minute in range(0, stop, HOUR):
        days.request("delivered", minute)

    found = notify(days, deployed.alarms["SilenceAlarm"])

    delay = find_delay(found, stop - HOUR)
    assert delay == math.inf if minutes == math.inf else delay <= minutes + 1
    assert "SilenceAlarm" not in read_deployed().alarms


def format_duration(minutes: float) -> str:
    """Return a number of minutes, rounded up so that it is stable."""
    if minutes <= HOUR:
        return f"{math.ceil(minutes / 5) * 5} min"
    if minutes <= 2 * DAY:
        return f"{math.ceil(minutes / HOUR)} h"
    days, hours = divmod(math.ceil(minutes / HOUR), 24)
    return f"{days} days {hours} h"


def read_rows() -> list[list[str]]:
    """Return the rows of the table in docs/operations.md."""
    section = OPERATIONS.read_text("utf-8").split("## How soon an alarm notifies\n")[1]
    table = section.split("|---|---|---|---|\n")[1].split("\n\n")[0]
    return [row.strip("| ").split(" | ") for row in table.splitlines()]


def read_documented(scenario: Scenario, rate: Rate) -> str:
    """Return the documented time."""
    rows = {what: (alarm, *times) for what, alarm, *times in read_rows()}
    alarm, high, low = rows[scenario.what]
    assert alarm == f"[{scenario.alarm}](#{scenario.alarm.lower()})"
    return high if rate is HIGH else low


def test_the_table_has_all_scenarios() -> None:
    """docs/operations.md has each, and no others, and a dash where there is no rate."""
    rows = read_rows()

    assert [row[0] for row in rows] == [scenario.what for scenario in SCENARIOS]
    dashes = [[rate not in s.rates for rate in (HIGH, LOW)] for s in SCENARIOS]
    assert [[cell == "-" for cell in row[2:]] for row in rows] == dashes
