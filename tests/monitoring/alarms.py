"""Evaluate alarms as CloudWatch does.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

from tests.monitoring.expressions import Context, Semantics, evaluate
from tests.monitoring.metrics import Metric, Metrics
from tests.monitoring.series import Series, create_series

ALARM, OK, INSUFFICIENT = "ALARM", "OK", "INSUFFICIENT_DATA"
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_PART = re.compile(r'ALARM\("\$\{(\w+)\}"\)')
_HOUR, _DAY = 60, 24 * 60


class Query(NamedTuple):
    """A metric that an alarm reads; *period* is in minutes."""

    metric: Metric
    statistic: str
    period: int


class Alarm(NamedTuple):
    """What decides the state of an alarm."""

    queries: Mapping[str, Query]
    expressions: Mapping[str, str]
    watched: str
    """The id of the query or expression that is compared with the threshold."""
    period: int
    evaluation_periods: int
    datapoints_to_alarm: int
    is_breaching: Callable[[float], bool]
    treat_missing_data: str
    notifies: bool

    @classmethod
    def create(cls, properties: Mapping[str, Any]) -> Self:
        """Return the alarm with the *properties* of AWS::CloudWatch::Alarm."""
        entries = properties.get("Metrics") or [_wrap(properties)]
        queries = {e["Id"]: _read_query(e) for e in entries if "MetricStat" in e}
        (watched,) = [e["Id"] for e in entries if _returns_data(e)]
        (period,) = {query.period for query in queries.values()}
        compare = _COMPARISONS[properties["ComparisonOperator"]]
        threshold = float(properties["Threshold"])
        periods = int(properties["EvaluationPeriods"])
        return cls(
            queries,
            {e["Id"]: e["Expression"] for e in entries if "Expression" in e},
            watched,
            period,
            periods,
            int(properties.get("DatapointsToAlarm", periods)),
            lambda value: compare(value, threshold),
            properties.get("TreatMissingData", "missing"),
            "AlarmActions" in properties,
        )

    def reach(self, semantics: Semantics) -> int:
        """Return how many minutes of data an evaluation retrieves."""
        return self.period * (self.evaluation_periods + semantics.extra_periods)


class Composite(NamedTuple):
    """An alarm that is raised while all of its *parts* are."""

    parts: tuple[Alarm, ...]
    notifies: bool
    expressions: Mapping[str, str] = {}

    @classmethod
    def create(cls, properties: Mapping[str, Any], alarms: Mapping[str, Alarm]) -> Self:
        """Return the alarm with the *properties* of AWS::CloudWatch::CompositeAlarm."""
        conditions = properties["AlarmRule"].split(" AND ")
        names = [_PART.fullmatch(condition) for condition in conditions]
        parts = tuple(alarms[name[1]] for name in names if name)
        if len(parts) != len(conditions):
            raise ValueError(f"unknown: AlarmRule {properties['AlarmRule']}")
        return cls(parts, "AlarmActions" in properties)


def _wrap(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return an alarm on one metric in the form of those with several."""
    statistic = properties.get("Statistic") or properties["ExtendedStatistic"]
    stat = {"Metric": properties, "Stat": statistic, "Period": properties["Period"]}
    return {"Id": "metric", "MetricStat": stat}


def _returns_data(entry: Mapping[str, Any]) -> bool:
    return str(entry.get("ReturnData", True)).lower() == "true"


def _read_query(entry: Mapping[str, Any]) -> Query:
    stat = entry["MetricStat"]
    metric = stat["Metric"]
    dimensions = {d["Name"]: d["Value"] for d in metric.get("Dimensions", [])}
    created = Metric.create(metric["Namespace"], metric["MetricName"], **dimensions)
    period, rest = divmod(int(stat["Period"]), 60)
    if rest or not period:
        raise ValueError(f"a period of {stat['Period']} seconds")
    return Query(created, stat["Stat"], period)


class Change(NamedTuple):
    """From which minute an alarm is in another state than before."""

    minute: int
    state: str


def find_changes(
    alarm: Alarm, metrics: Metrics, end: int, semantics: Semantics
) -> Iterator[Change]:
    """Yield the changes of the state until the minute *end*.

    An alarm is evaluated every minute. If it looks back for more than a day, it is
    evaluated once an hour, on the data until the hour began; in the worst case that is
    an hour later.
    """
    is_multi_day = alarm.period * alarm.evaluation_periods > _DAY
    before = alarm.reach(semantics)
    breaching = _find_breaching(alarm, metrics, range(-before, end + 1), semantics)
    state = INSUFFICIENT
    if True not in breaching and alarm.treat_missing_data == "notBreaching":
        end = _HOUR  # it stays OK
    for minute in range(_HOUR if is_multi_day else 1, end + 1):
        until = minute
        if is_multi_day:
            if minute % _HOUR != _HOUR - 1:
                continue
            until = minute - minute % _HOUR
        latest = until + before
        oldest = latest - alarm.reach(semantics) + alarm.period
        new = decide(alarm, breaching[oldest : latest + 1 : alarm.period], state)
        if new != state:
            yield Change(minute, new)
            state = new


def find_composite_changes(
    alarm: Composite, metrics: Metrics, end: int, semantics: Semantics
) -> Iterator[Change]:
    """Yield the changes of the state, if parts are raised before others are not."""
    changes = [
        (change.minute, change.state != ALARM, index)
        for index, part in enumerate(alarm.parts)
        for change in find_changes(part, metrics, end, semantics)
    ]
    raised: set[int] = set()
    state = OK
    for minute, is_over, index in sorted(changes):
        raised = raised - {index} if is_over else raised | {index}
        new = ALARM if len(raised) == len(alarm.parts) else OK
        if new != state:
            yield Change(minute, new)
            state = new


def find_notifications(
    alarm: Alarm | Composite, metrics: Metrics, end: int, semantics: Semantics
) -> list[int]:
    """Return the minutes at which the alarm notifies."""
    if not alarm.notifies:
        return []
    if isinstance(alarm, Composite):
        changes = find_composite_changes(alarm, metrics, end, semantics)
    else:
        changes = find_changes(alarm, metrics, end, semantics)
    return [change.minute for change in changes if change.state == ALARM]


def _find_breaching(
    alarm: Alarm, metrics: Metrics, minutes: range, semantics: Semantics
) -> list[bool | None]:
    """Return for each minute whether the period before it breaches the threshold."""
    series: dict[str, Series] = {
        name: create_series(
            metrics.points.get(query.metric, {}), query.statistic, query.period, minutes
        )
        for name, query in alarm.queries.items()
    }
    context = Context(series, semantics, alarm.period, alarm.reach(semantics))
    for name, expression in alarm.expressions.items():
        series[name] = evaluate(expression, context)
    watched = series[alarm.watched]
    return [None if value is None else alarm.is_breaching(value) for value in watched]


def decide(alarm: Alarm, points: Sequence[bool | None], state: str) -> str:
    """Return the next state after *state*.

    *points* are the data points retrieved, the latest last: whether each breaches the
    threshold, or None if it is missing.
    """
    if alarm.treat_missing_data == "notBreaching" and True not in points:
        return OK  # the usual case, as fast as possible
    real = [point for point in points if point is not None]
    used = real[-alarm.evaluation_periods :]
    missing = alarm.evaluation_periods - len(used)
    breaching = sum(used)
    is_raised = breaching >= alarm.datapoints_to_alarm
    match alarm.treat_missing_data if missing else "":
        case "breaching":
            is_raised = breaching + missing >= alarm.datapoints_to_alarm
        case "ignore" if breaching == len(used) and not is_raised:
            return state
        case "missing" if not real:
            return INSUFFICIENT
        case "missing":
            is_raised = is_raised or _is_premature(alarm, points)
        case "" | "notBreaching" | "ignore":
            pass
        case unknown:
            raise ValueError(f"unknown: TreatMissingData {unknown}")
    return ALARM if is_raised else OK


def _is_premature(alarm: Alarm, points: Sequence[bool | None]) -> bool:
    """Return whether the data has been breaching, or missing, for long enough."""
    oldest = next(i for i, point in enumerate(points) if point is not None)
    is_old = len(points) - oldest >= alarm.datapoints_to_alarm
    return is_old and False not in points
