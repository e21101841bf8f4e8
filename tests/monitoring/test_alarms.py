"""The evaluator behaves as AWS documents CloudWatch, with AWS's own examples."""

import json
from typing import Any

import pytest

from tests.monitoring.alarms import (
    ALARM,
    INSUFFICIENT,
    OK,
    Alarm,
    Change,
    Composite,
    decide,
    find_changes,
    find_notifications,
)
from tests.monitoring.expressions import Context, Semantics, evaluate
from tests.monitoring.metrics import Metric, MetricFilter, Metrics, write_access_line
from tests.monitoring.patterns import PatternError, compile_pattern
from tests.monitoring.series import Series

DOCUMENTED = Semantics()
RETAIN = "Retain current state"
# The tables of "How alarm state is evaluated when data is missing": data points, and
# the state for each of `TREATMENTS`. 3 periods are evaluated.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
THREE_OF_THREE = {
    "0 - X - X": (OK, OK, OK, OK),
    "0 - - - -": (OK, OK, OK, OK),
    "- - - - -": (INSUFFICIENT, RETAIN, ALARM, OK),
    "0 X X - X": (ALARM, ALARM, ALARM, ALARM),
    "- - X - -": (ALARM, RETAIN, ALARM, OK),
}
TWO_OF_THREE = {
    "0 - X - X": (ALARM, ALARM, ALARM, ALARM),
    "0 0 X 0 X": (ALARM, ALARM, ALARM, ALARM),
    "0 - X - -": (OK, OK, ALARM, OK),
    "- - - - 0": (OK, OK, ALARM, OK),
    "- - - X -": (ALARM, RETAIN, ALARM, OK),
}
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
EXAMPLES = [
    (datapoints, points, treatment, state)
    for datapoints, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
    for points, states in table.items()
    for treatment, state in zip(TREATMENTS, states, strict=True)
]
METRIC = Metric.create("Ours", "Failures", stack="s")


def create_alarm(**changes: Any) -> Alarm:
    """Return an alarm that is raised if `METRIC` is above 0, with *changes*."""
    properties = {
        "Namespace": "Ours",
        "MetricName": "Failures",
        "Dimensions": [{"Name": "stack", "Value": "s"}],
        "Statistic": "Sum",
        "Period": 300,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": ["topic"],
    }
    return Alarm.create(properties | changes)


@pytest.mark.parametrize(("datapoints", "points", "treatment", "expected"), EXAMPLES)
@pytest.mark.parametrize("state", [OK, ALARM])
def test_the_examples_of_aws(
    datapoints: int, points: str, treatment: str, expected: str, state: str
) -> None:
    """All rows and columns of AWS's tables on missing data."""
    alarm = create_alarm(
        DatapointsToAlarm=datapoints, EvaluationPeriods=3, TreatMissingData=treatment
    )
    read = {"0": False, "X": True, "-": None}

    new = decide(alarm, [read[point] for point in points.split()], state)

    assert new == (state if expected == RETAIN else expected)


@pytest.mark.parametrize("points", ["- - - - X", "- - - X -"])
def test_a_late_data_point_does_not_raise_an_alarm_prematurely(points: str) -> None:
    """AWS: "the alarm does not go immediately into ALARM state"."""
    alarm = create_alarm(EvaluationPeriods=3, TreatMissingData="missing")
    read = {"X": True, "-": None}

    assert decide(alarm, [read[point] for point in points.split()], OK) == OK


def put(*minutes: int, value: float = 1) -> Metrics:
    """Return metrics with *value* at each of *minutes*."""
    metrics = Metrics()
    for minute in minutes:
        metrics.put(METRIC, minute, value)
    return metrics


def test_the_window_slides_every_minute() -> None:
    """AWS: at the end of minute 6, a period of 5 minutes is minutes 2 to 6."""
    changes = find_changes(create_alarm(), put(6), 20, DOCUMENTED)

    # Minute 6 is over at minute 7, and has left the period at minute 12.
    assert list(changes) == [Change(1, OK), Change(7, ALARM), Change(12, OK)]


def test_an_older_data_point_replaces_a_missing_one() -> None:
    """Of a longer range, CloudWatch evaluates the most recent real data points."""
    alarm = create_alarm()
    longer = Semantics(extra_periods=2)

    assert list(find_changes(alarm, put(6), 40, longer))[-1] == Change(22, OK)


def test_an_alarm_over_several_days_is_evaluated_every_hour() -> None:
    """It considers the data until the hour began, at worst an hour later."""
    alarm = create_alarm(Period=3600, EvaluationPeriods=48, DatapointsToAlarm=1)

    changes = find_changes(alarm, put(130), 300, DOCUMENTED)

    assert list(changes) == [Change(119, OK), Change(239, ALARM)]


def test_an_alarm_over_one_day_is_evaluated_every_minute() -> None:
    """Only more than a day counts as several days."""
    alarm = create_alarm(Period=3600, EvaluationPeriods=24, DatapointsToAlarm=1)

    assert find_notifications(alarm, put(130), 300, DOCUMENTED) == [131]


def test_an_alarm_notifies_when_it_is_raised() -> None:
    """Once for each time, and not while it stays in ALARM."""
    alarm = create_alarm()
    metrics = put(6, 7, 8, 9, 30)

    assert find_notifications(alarm, metrics, 60, DOCUMENTED) == [7, 31]
    silent = alarm._replace(notifies=False)
    assert find_notifications(silent, metrics, 60, DOCUMENTED) == []


def test_three_of_six_periods() -> None:
    """The breaching data points don't have to be consecutive."""
    alarm = create_alarm(DatapointsToAlarm=3, EvaluationPeriods=6)

    assert find_notifications(alarm, put(0, 10, 25), 60, DOCUMENTED) == [26]
    assert find_notifications(alarm, put(0, 10, 30), 60, DOCUMENTED) == []


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("Sum", 105),
        ("SampleCount", 101),
        ("Average", 105 / 101),
        ("Minimum", 1),
        ("Maximum", 5),
        ("p99", 1),
        ("p99.5", 5),
    ],
)
def test_statistics(statistic: str, expected: float) -> None:
    """The statistic of all values of a period."""
    metrics = Metrics()
    metrics.put(METRIC, 1, 1, 100)
    metrics.put(METRIC, 4, 5)
    name = "ExtendedStatistic" if statistic[0] == "p" else "Statistic"
    above = {"Statistic": None, name: statistic, "Threshold": expected - 0.001}
    below = above | {"Threshold": expected + 0.001}

    assert find_notifications(create_alarm(**above), metrics, 5, DOCUMENTED)
    assert (
        list(find_changes(create_alarm(**below), metrics, 5, DOCUMENTED))[-1][1] == OK
    )


def test_an_unknown_statistic_is_an_error() -> None:
    """No scenario passes because a statistic is misread."""
    with pytest.raises(ValueError, match="TM"):
        find_notifications(create_alarm(Statistic="TM(1%:2%)"), put(1), 5, DOCUMENTED)


# Those with metric1 to metric3 are AWS's examples.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
A: Series = [30, 20, 0, 0]
B: Series = [20, None, 20, None]
CONDITION: Series = [1, 1, 0, 0, None]
YES: Series = [30, None, 0, 0, 30]
NO: Series = [0, 0, 20, None, 20]


@pytest.mark.parametrize(
    ("expression", "series", "expected"),
    [
        ("(metric1 < metric2)", [A, B], [0, 0, 1, 0]),
        ("(metric1 >= 30)", [A, B], [1, 0, 0, 0]),
        ("(metric1 > 15 AND metric2 > 15)", [A, B], [1, 0, 0, 0]),
        (
            "IF(metric1, metric2, metric3)",
            [CONDITION, YES, NO],
            [30, 0, 20, None, None],
        ),
        ("IF(metric1, 5, metric3)", [CONDITION, YES, NO], [5, 5, 20, None, None]),
        ("IF(metric1, metric2, 5)", [CONDITION, YES, NO], [30, 0, 5, 5, None]),
        ("metric1 + metric2", [A, B], [50, 20, 20, 0]),
        ("metric2 / metric1", [A, B], [20 / 30, 0, None, None]),
        ("FILL(metric1, 7)", [B], [20, 7, 20, 7]),
        ("MAX([metric1, metric2])", [A, B], [30, 20, 20, 0]),
        ("SUM([metric1, metric2])", [A, B], [50, 20, 20, 0]),
        ("1 - metric1 * 2 > 0 OR metric1 == 30", [A], [1, 0, 1, 1]),
        ("-(metric1 - 1) / 2", [[3, None]], [-1, None]),
    ],
)
def test_expressions(expression: str, series: list[Series], expected: Series) -> None:
    """Operators and functions with missing data, as AWS documents them."""
    named = {f"metric{number}": values for number, values in enumerate(series, 1)}

    assert evaluate(expression, Context(named, DOCUMENTED)) == expected


def test_a_missing_operand_can_make_the_result_missing() -> None:
    """As users report it, against the documentation."""
    context = Context({"a": A, "b": B}, Semantics(missing_is_zero=False))

    assert evaluate("a + b", context) == [50, None, 20, None]
    assert evaluate("SUM([a, b])", context) == [50, 20, 20, 0]
    assert evaluate("IF(a + 1, b, 1)", context) == B


def test_filling_an_empty_range_can_have_no_effect() -> None:
    """Without any data in the range retrieved, nothing may be filled."""
    context = Context(
        {"a": [None, 1, None, None]}, Semantics(fills_empty=False), reach=2
    )

    assert evaluate("FILL(a, 0)", context) == [None, 1, 0, None]


@pytest.mark.parametrize(
    "expression", ["AVG([a])", "SUM(a)", "FILL(a, REPEAT)", "a +", "b", "1 + 1", "a a"]
)
def test_what_the_evaluator_does_not_know_is_an_error(expression: str) -> None:
    """No scenario passes because an expression is misread."""
    with pytest.raises(ValueError, match=r"\w"):
        evaluate(expression, Context({"a": A}, DOCUMENTED))


def test_an_alarm_on_an_expression() -> None:
    """It is evaluated on the expression that returns data."""
    stat = {
        "Metric": {
            "Namespace": "Ours",
            "MetricName": "Failures",
            "Dimensions": [{"Name": "stack", "Value": "s"}],
        },
        "Stat": "Sum",
        "Period": 300,
    }
    alarm = create_alarm(
        Metrics=[
            {"Id": "twice", "Expression": "m * 2"},
            {"Id": "m", "ReturnData": False, "MetricStat": stat},
        ],
        Threshold=3,
    )

    assert find_notifications(alarm, put(3, 4), 20, DOCUMENTED) == [5]
    assert find_notifications(alarm, put(3), 20, DOCUMENTED) == []


def test_the_metrics_of_a_line() -> None:
    """A line in the embedded metric format has lists of values and dimensions."""
    definitions = [{"Name": "Failures", "Unit": "Count"}, {"Name": "Other"}]
    directive = {
        "Namespace": "Ours",
        "Dimensions": [["stack"]],
        "Metrics": definitions,
    }
    line = {
        "_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]},
        "stack": "s",
        "Failures": [1, 2, 2],
        "Other": 7,
        "field": "no metric",
    }
    metrics = Metrics()

    metrics.put_line(json.dumps(line), 3, times=10)

    assert metrics.points == {
        METRIC: {3: {1: 10, 2: 20}},
        METRIC._replace(name="Other"): {3: {7: 10}},
    }


EVENT = {
    "eventType": "UpdateTrail",
    "sourceIPAddress": "111.111.111.111",
    "arrayKey": ["value", "another value"],
    "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
    "SomeObject": None,
    "ThisFlag": True,
    "latency": 500,
    "user": {"id": 1, "email": "John.Stiles@example.com"},
    "users": [{"id": 2, "email": "John.Doe@example.com"}],
    "actions": ["GET", "PUT", "DELETE"],
    "coordinates": [[0, 1, 2], [4, 5, 6]],
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        # AWS's examples.
        ('{ $.eventType = "UpdateTrail" }', True),
        ("{ $.sourceIPAddress != 123.123.* }", True),
        ('{ $.arrayKey[0] = "value" }', True),
        ("{ $.objectList[1].id = 2 }", True),
        ("{ $.SomeObject IS NULL }", True),
        ("{ $.SomeOtherObject NOT EXISTS }", True),
        ("{ $.ThisFlag IS TRUE }", True),
        ("{ $.ThisFlag IS FALSE }", False),
        ("{ $.latency >= 500 }", True),
        ("{ $.latency > +1000 }", False),
        ("{ $.latency < 10e3 }", True),
        ('{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }', True),
        (
            '{ ($.user.id = 2 && $.users[0].email = "x") || $.actions[2] = "GET" }',
            False,
        ),
        (
            '{ $.user.email = "John*" || $.actions[0] = no && $.actions[2] = no }',
            True,
        ),
        (
            '{ ($.user.email = "John*" || $.actions[0] = no) && $.actions[2] = no }',
            False,
        ),
        ("{ $.users = 1 }", False),
        ("{ $.users != 1 }", False),
        # Wildcards, and what is missing.
        ('{ $.eventType = "Update*" }', True),
        ('{ $.eventType = "*Trail" }', True),
        ('{ $.eventType = "update*" }', False),
        ("{ $.latency = 5* }", True),
        ("{ $.absent = * }", False),
        ("{ $.absent != 1 }", False),
        ("{ $.SomeObject NOT EXISTS }", False),
    ],
)
def test_filter_patterns(pattern: str, *, expected: bool) -> None:
    """They match the lines that AWS says they match."""
    assert compile_pattern(pattern)(EVENT) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "ERROR",
        "{ $.a }",
        "{ $.a = 1",
        "{ $.a = 1 } x",
        "{ $.a = %x% }",
        '{ $.a = "x*y" }',
        "{ $.a > x }",
        "{ a = 1 }",
        "{ $.a EXISTS }",
        "{ $.a = && }",
    ],
)
def test_an_unknown_pattern_is_an_error(pattern: str) -> None:
    """No scenario passes because a pattern is misread."""
    with pytest.raises(PatternError):
        compile_pattern(pattern)


def test_a_metric_filter_counts_lines_of_the_access_log() -> None:
    """Lines that don't match count as the default value, if there is one."""
    template = '{"status":$context.status,"agent":"$context.identity.userAgent"}'
    transformation = {
        "MetricNamespace": "Ours",
        "MetricName": "Failures",
        "MetricValue": "1",
        "DefaultValue": 0,
    }
    properties = {
        "FilterPattern": '{ $.status = 404 && $.agent = "Segment*" }',
        "MetricTransformations": [transformation],
    }
    found = MetricFilter.create(properties)
    metrics = Metrics()

    for status, agent in ((404, "Segment (Actions)"), (404, "-"), (200, "Segment")):
        context: dict[str, str | int] = {
            "status": status,
            "identity.userAgent": agent,
        }
        found.put(metrics, write_access_line(template, context), 3)

    metric = Metric.create("Ours", "Failures")
    assert metrics.points == {metric: {3: {1: 1, 0: 2}}}
    assert write_access_line(template, {"status": 1}).endswith('"agent":"-"}')


def test_a_metric_filter_takes_a_dimension_from_the_line() -> None:
    """A value of a dimension is a field of the line."""
    transformation = {
        "MetricNamespace": "Ours",
        "MetricName": "Failures",
        "MetricValue": "1",
        "Dimensions": [{"Key": "stack", "Value": "$.stack"}],
    }
    properties = {
        "FilterPattern": "{ $.status = 404 }",
        "MetricTransformations": [transformation],
    }
    metrics = Metrics()

    MetricFilter.create(properties).put(metrics, '{"status":404,"stack":"s"}', 3)
    MetricFilter.create(properties).put(metrics, '{"status":200,"stack":"s"}', 3)

    assert metrics.points == {METRIC: {3: {1: 1}}}


def create_composite(rule: str, **changes: Any) -> Composite:
    """Return an alarm with this rule; its parts watch the metrics `a` and `b`."""
    parts = {
        name: create_alarm(MetricName=name, Period=60)._replace(notifies=False)
        for name in ("a", "b")
    }
    return Composite.create({"AlarmRule": rule, "AlarmActions": [], **changes}, parts)


@pytest.mark.parametrize(
    ("a", "b", "notified"),
    [
        ([2, 3], [3, 4], [4]),
        ([2], [4], []),
        ([2], [3], [4]),  # one part can be raised before the other one is over
        ([2, 3, 6], [3, 6], [4, 7]),
        ([2], [], []),
    ],
)
def test_a_composite_alarm_is_raised_while_all_parts_are(
    a: list[int], b: list[int], notified: list[int]
) -> None:
    """It notifies each time, and the parts alone don't."""
    metrics = Metrics()
    for name, minutes in (("a", a), ("b", b)):
        metric = Metric.create("Ours", name, stack="s")
        for minute in range(10):
            metrics.put(metric, minute, float(minute in minutes))
    composite = create_composite('ALARM("${a}") AND ALARM("${b}")')

    assert find_notifications(composite, metrics, 10, DOCUMENTED) == notified
    assert find_notifications(composite.parts[0], metrics, 10, DOCUMENTED) == []


@pytest.mark.parametrize("rule", ['ALARM("${a}") OR ALARM("${b}")', 'OK("${a}")'])
def test_an_unknown_rule_is_an_error(rule: str) -> None:
    """No part of it is left out."""
    with pytest.raises(ValueError, match="AlarmRule"):
        create_composite(rule)
