"""Write one line per invocation, which is both its log entry and its metrics.

The line is in CloudWatch's embedded metric format (EMF), in ASCII. An event is only
named by its messageId; its outcome and the reason are in the line.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import itertools
import json
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from segment_to_hyperline import __version__, config
from segment_to_hyperline.hyperline.failures import Kind
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.results import (
    Result,
    Results,
    count_billable_events,
    describe_billable_events,
)

NAMESPACE = "SegmentToHyperline"

# The metrics, with their units. A count of zero is left out, except `Received` and
# `Delivered`: UndeliveredAlarm is raised if the former has values and the latter is 0.
UNITS: Mapping[str, MetricUnit] = {
    # The number of events, and of events with each outcome.
    "Received": MetricUnit.Count,
    **{outcome.value.metric: MetricUnit.Count for outcome in Outcome},
    # Billable events of the delivered events, beyond one each, with `each` in a rule.
    "AdditionalBillable": MetricUnit.Count,
    # What the DailyCheck found: how many events the archive gives for a day, how many
    # of them are missing or different in Hyperline, and how many it has besides.
    # Unproven are those, and parts of the archive, that could not be compared. Its
    # Quarantined are the events of the day that the mapping can't bill.
    "Expected": MetricUnit.Count,
    "Missing": MetricUnit.Count,
    "Different": MetricUnit.Count,
    "Unexpected": MetricUnit.Count,
    "Unproven": MetricUnit.Count,
    # Received, and without an outcome because the function failed.
    "Unaccounted": MetricUnit.Count,
    # Requests that were rejected, by cause.
    "Unauthorized": MetricUnit.Count,
    "Malformed": MetricUnit.Count,
    "SecretErrors": MetricUnit.Count,
    "PreviousSecret": MetricUnit.Count,
    # Requests that are probably Segment's, and that it doesn't retry.
    "SegmentRejected": MetricUnit.Count,
    # Requests for which a cached secret was used, because it can't be read.
    "StaleSecret": MetricUnit.Count,
    # Invocations in which Hyperline rejected the API key.
    "KeyRejected": MetricUnit.Count,
    # How long each post to Hyperline took, the slowest 99 of an invocation.
    "HyperlineLatency": MetricUnit.Milliseconds,
    # The longest time from Segment's `receivedAt` to the delivery of an event.
    "BillingDelay": MetricUnit.Seconds,
    # The longest time for which an event that the Replayer couldn't bill is stored.
    "OldestEvent": MetricUnit.Seconds,
}

# Up to this number, all messageIds of events that need nobody's attention are listed.
# Otherwise a sample of them is: a line with all would cost more than the request.
MAX_ROUTINE_IDS = 50
SAMPLED_IDS = 10
# CloudWatch accepts larger lines, but not every tool that reads them does.
MAX_EVENTS_BYTES = 200_000
# A longer delay is a wrong time, or that of a backfill.
_MAX_DELAY_SECONDS = 30 * 24 * 60 * 60
# With one more value of a metric, Powertools would write a line early.
_MAX_VALUES = 99
# On Linux, where this runs, `getrusage` returns KiB.
_KIB_PER_MB = 1024
_invocations = itertools.count()


class LogLine:
    """The line of one invocation; it is written when the `with` block ends.

    If the block raises an exception, the line has the name of its class. Without
    results, the events counted in *received* are then unaccounted for.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._began = time.monotonic()
        self.received = 0
        self._level = "INFO"
        self._has_results = False
        self._fields: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._metrics.clear_metrics()  # an invocation that was killed can leave some
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error_type:
            self._level = "ERROR"
            self.add_fields(error=error_type.__name__)
            if not self._has_results:
                self._metrics.clear_metrics()
                self.add_results(Results([]))
        self._write()

    def add_fields(self, **fields: Any) -> None:
        """Add *fields*, which can have any JSON value."""
        self._fields |= fields

    def add_metric(self, name: str, value: float = 1) -> None:
        """Add a metric of `UNITS`."""
        self._metrics.add_metric(name, UNITS[name], value)

    def warn(self) -> None:
        """Mark the line as one that a person should read."""
        self._level = "WARN"

    def count_received[Item](self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield *items*, and count them as received events."""
        for item in items:
            self.received += 1
            yield item

    def add_results(self, results: Results) -> None:
        """Add what happened to the received events, and the posts to Hyperline."""
        metrics = measure_results(results.all, self.received, time.time())
        for name, value in metrics:
            self.add_metric(name, value)
        for seconds in sorted(results.posts.seconds)[-_MAX_VALUES:]:
            self.add_metric("HyperlineLatency", round(seconds * 1e3))
        self.add_fields(
            posts=len(results.posts.seconds),
            events=list(describe_results(results.all)),
            **describe_billable_events(results.all),
        )
        self._has_results = True

    def add_stale_secret(self, reason: str) -> None:
        """Add why a cached secret was used."""
        self.add_metric("StaleSecret")
        self.add_fields(warning=reason)
        self.warn()

    def add_rejection(self, metric: str, code: Code, reason: str) -> None:
        """Add that the request was rejected as a whole; no event was received."""
        self.received = 0
        self.add_metric(metric)
        self.add_fields(error=reason, code=code)
        self.warn()

    def _write(self) -> None:
        self.add_fields(
            level=self._level,
            duration_ms=round((time.monotonic() - self._began) * 1e3),
            memory_mb=_peak_memory(),
            version=__version__,
        )
        if next(_invocations) == 0:
            self.add_fields(cold_start=True)
        self._metrics.add_dimension("stack", config.stack_name())
        for name, value in self._fields.items():
            self._metrics.add_metadata(name, value)
        self._metrics.flush_metrics()


def measure_results(
    results: Sequence[Result], received: int, now: float
) -> Iterator[tuple[str, float]]:
    """Yield the metrics of *results*; the counts add up to *received*."""
    yield "Received", received
    counts = {Outcome.DELIVERED.value.metric: 0}
    for outcome, count in Counter(result.outcome for result in results).items():
        metric = outcome.value.metric
        counts[metric] = counts.get(metric, 0) + count
    yield from counts.items()
    if len(results) != received:
        yield "Unaccounted", received - len(results)
    delivered = [r for r in results if r.outcome is Outcome.DELIVERED]
    additional = count_billable_events(delivered) - len(delivered)
    if additional:
        yield "AdditionalBillable", additional
    if any(r.failure and r.failure.kind is Kind.KEY_REJECTED for r in results):
        yield "KeyRejected", 1
    times = [r.event.received_at for r in delivered]
    known = [t for t in times if t is not None and now - t < _MAX_DELAY_SECONDS]
    if known:
        yield "BillingDelay", round(max(0, now - min(known)), 1)


def describe_results(results: Iterable[Result]) -> Iterator[dict[str, Any]]:
    """Yield each outcome and reason, the number of events, and their messageIds.

    The messageIds are one string, because Logs Insights finds the first 200 values of a
    line.

    An event that was delivered or filtered has no reason. If more than
    `MAX_ROUTINE_IDS` of these have the same outcome, only the first `SAMPLED_IDS` are
    listed. Of the others, as many are listed as fit `MAX_EVENTS_BYTES`.
    """
    groups: defaultdict[tuple[str, str, Code | None], list[Result]] = defaultdict(list)
    for result in results:
        groups[result.outcome.value.label, result.reason, result.code].append(result)
    available = MAX_EVENTS_BYTES
    # Those with a reason come first, so that they are listed as far as possible.
    order = sorted(groups.items(), key=lambda item: (not item[0][1], -len(item[1])))
    for (outcome, reason, code), group in order:
        ids: list[str] = []
        is_sample = not reason and len(group) > MAX_ROUTINE_IDS
        for result in group[:SAMPLED_IDS] if is_sample else group:
            message_id = result.message_id or "-"
            available -= len(json.dumps(message_id))
            if available < 0:
                break
            ids.append(message_id)
        described: dict[str, Any] = {"outcome": outcome}
        if reason:
            described |= {"code": code, "reason": reason}
        yield described | {"count": len(group), "ids": " ".join(ids)}


def _peak_memory() -> int:
    """Return the most memory this process has used, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // _KIB_PER_MB
