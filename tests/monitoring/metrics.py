"""Metrics as CloudWatch stores them: the values of each minute.

They come from the functions' own lines (EMF), from lines of the access log by way of
metric filters, or from AWS's services. All times are minutes since the first day began.
"""

import functools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from tests.monitoring.patterns import Matcher, compile_pattern


class Metric(NamedTuple):
    """Which metric; the order of its dimensions doesn't matter."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def create(cls, namespace: str, name: str, **dimensions: str) -> Self:
        """Return the metric with these dimensions."""
        return cls(namespace, name, frozenset(dimensions.items()))


_TRANSFORMATION = {
    *("MetricNamespace", "MetricName", "MetricValue", "DefaultValue", "Unit"),
    "Dimensions",
}

# How often each value was put, by minute.
type Points = dict[int, Counter[float]]


class Metrics:
    """The metrics that an account has, with a granularity of one minute."""

    def __init__(self) -> None:
        self.points: defaultdict[Metric, Points] = defaultdict(
            lambda: defaultdict(Counter)
        )

    def put(self, metric: Metric, minute: int, value: float, times: int = 1) -> None:
        """Store *value*, as if it were put *times* times."""
        self.points[metric][minute][value] += times

    def put_line(self, line: str, minute: int, times: int = 1) -> None:
        """Store the metrics in a *line* that a function wrote."""
        for metric, value in read_emf(line):
            self.put(metric, minute, value, times)


@functools.cache
def read_emf(line: str) -> tuple[tuple[Metric, float], ...]:
    """Return the metrics of a line, and their values.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    document = json.loads(line)
    return tuple(
        (Metric(directive["Namespace"], definition["Name"], dimensions), value)
        for directive in document["_aws"]["CloudWatchMetrics"]
        for names in directive["Dimensions"]
        for dimensions in [frozenset((name, document[name]) for name in names)]
        for definition in directive["Metrics"]
        for value in _listed(document[definition["Name"]])
    )


def _listed(value: Any) -> list[float]:
    return value if isinstance(value, list) else [value]


class MetricFilter(NamedTuple):
    """What a metric filter makes of a line: a value, or the default if it has one."""

    matches: Matcher
    metric: Metric
    dimensions: Mapping[str, str]
    """The field of the line that has the value of a dimension, by its name."""
    value: float
    default: float | None

    @classmethod
    def create(cls, properties: Mapping[str, Any]) -> Self:
        """Return the filter with the *properties* of AWS::Logs::MetricFilter.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-logs-metricfilter-metrictransformation.html
        """
        (transformation,) = properties["MetricTransformations"]
        if unknown := transformation.keys() - _TRANSFORMATION:
            raise ValueError(f"unknown in a metric filter: {unknown}")
        dimensions = transformation.get("Dimensions", [])
        default = transformation.get("DefaultValue")
        return cls(
            compile_pattern(properties["FilterPattern"]),
            Metric(transformation["MetricNamespace"], transformation["MetricName"]),
            {d["Key"]: d["Value"].removeprefix("$.") for d in dimensions},
            float(transformation["MetricValue"]),
            None if default is None else float(default),
        )

    def put(self, metrics: Metrics, line: str, minute: int, times: int = 1) -> None:
        """Store what *line* counts for."""
        content = json.loads(line)
        # If another line of the minute matches, AWS doesn't count the default, which
        # makes no difference to a sum if it is 0.
        value = self.value if self.matches(content) else self.default
        if value is not None:
            found = {name: content[field] for name, field in self.dimensions.items()}
            metric = self.metric._replace(dimensions=frozenset(found.items()))
            metrics.put(metric, minute, value, times)


def write_access_line(template: str, context: Mapping[str, str | int]) -> str:
    """Return the line that API Gateway writes; a variable without a value is "-".

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
    """
    return re.sub(
        r"\$context\.([A-Za-z]+(?:\.[A-Za-z]+)*)",
        lambda match: str(context.get(match[1], "-")),
        template,
    )
