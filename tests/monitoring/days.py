"""Synthetic days: requests, messages and invocations, and the metrics they leave.

All times are minutes since the first day began. A line is one that the functions really
wrote; only its time is changed.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, Self

from segment_to_hyperline.segment.facts import is_retried
from segment_to_hyperline.simulation.model import SCHEDULE
from tests.monitoring.deployed import Deployed
from tests.monitoring.lines import AGES, STRANGER, Lines
from tests.monitoring.metrics import Metric, Metrics, write_access_line

HOUR, DAY = 60, 24 * 60
SEGMENT = "Segment (Actions)"
# Lambda receives a message again after the visibility timeout of 430 s if the Replayer
# crashes, and after up to 15 minutes if it reports the message as unfinished.
_PAUSES = {"down": 15, "crashing": 8, "disabled": sys.maxsize}
# "After a message is received three times (or more) and not processed, the message is
# moved to the back of the queue and the ApproximateAgeOfOldestMessage metric points at
# the second-oldest message".
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
_COUNTED_RECEIVES = 3


class Rate(NamedTuple):
    """So many events at once, every so many minutes."""

    events: int
    every: int = 1


HIGH, LOW = Rate(600), Rate(1, every=2 * HOUR)


class GatewayResponse(NamedTuple):
    """A response of API Gateway, and not of the Receiver."""

    status: int
    error: str
    """The message in the access log."""
    lambda_metrics: tuple[str, ...] = ()


GATEWAY_RESPONSES: Mapping[str, GatewayResponse] = {
    "wrong path": GatewayResponse(404, "Not Found"),
    "too large": GatewayResponse(413, "Request Entity Too Large"),
    "rate exceeded": GatewayResponse(429, "Too Many Requests"),
    "throttled": GatewayResponse(503, "Service Unavailable", ("Throttles",)),
    "not started": GatewayResponse(
        500, "Internal Server Error", ("Invocations", "Errors")
    ),
}

# What happens to an attempt to deliver an event, from which age in minutes.
CONDITIONS: Mapping[str, Sequence[tuple[int, str]]] = {
    "down": [(15, "parked"), (0, "pending")],
    "busy": [(15, "parked"), (0, "limited")],
    "key rejected": [(15, "key parked"), (0, "key pending")],
}


class Days:
    """Some days of a stack; describing them fills its metrics."""

    def __init__(self, deployed: Deployed, lines: Lines, end: int = DAY) -> None:
        self.metrics = Metrics()
        self.end = end
        self._deployed = deployed
        self._lines = lines
        self._quarantined: list[int] = []

    def events(
        self,
        rate: Rate,
        changes: Mapping[int, str] | None = None,
        hours: Sequence[int] = range(24),
        days: Sequence[int] = range(7),
    ) -> Self:
        """Let events arrive at *rate*, in these *hours* of these *days* of a week.

        *changes* has a condition of `CONDITIONS`, or a situation, and the minute from
        which all attempts to deliver have it. Before, the events are delivered.
        """
        arrivals = [
            minute
            for minute in range(0, self.end, rate.every)
            if minute // HOUR % 24 in hours and minute // DAY % 7 in days
        ]
        requests: Counter[tuple[str, int]] = Counter()
        for arrival in arrivals:
            for request in self._attempt(arrival, changes or {}):
                requests[request] += rate.events
        for (situation, minute), times in requests.items():
            self.request(situation, minute, times)
        return self

    def _attempt(
        self, arrival: int, changes: Mapping[int, str]
    ) -> Iterator[tuple[str, int]]:
        """Yield what happens at each attempt of Segment, until a final response."""
        for age in SCHEDULE:
            begun = [m for m in changes if m <= arrival + age]
            condition = changes[max(begun)] if begun else "delivered"
            levels = CONDITIONS.get(condition, [(0, condition)])
            situation = next(name for least, name in levels if age >= least)
            yield situation, arrival + age
            if not is_retried(self._find_status(situation)):
                return

    def _find_status(self, situation: str) -> int:
        if situation in GATEWAY_RESPONSES:
            return GATEWAY_RESPONSES[situation].status
        return self._lines.responses[situation].status

    def request(
        self, situation: str, minute: int, times: int = 1, agent: str = SEGMENT
    ) -> Self:
        """Let *times* requests arrive, without retries."""
        if minute >= self.end:
            return self
        if situation in GATEWAY_RESPONSES:
            rejected = GATEWAY_RESPONSES[situation]
            for name in rejected.lambda_metrics:
                self._put_lambda(name, "Receiver", minute, times)
            self._put_access(rejected.status, minute, times, agent, rejected.error)
            return self
        response = self._lines.responses[situation]
        self.metrics.put_line(response.line, minute, times)
        self._put_lambda("Invocations", "Receiver", minute, times)
        self._put_lambda("Throttles", "Receiver", minute, times, 0)
        self._put_lambda("Errors", "Receiver", minute, times, response.status == 500)
        agent = STRANGER if situation == "stranger" else agent
        self._put_access(response.status, minute, times, agent)
        if situation == "quarantined":
            self._quarantined.append(minute)
        return self

    def slow(self, rate: Rate, percent: int, milliseconds: float, start: int) -> Self:
        """Let this share of the requests take *milliseconds* from *start*."""
        metric = Metric.create("AWS/Lambda", "Duration", FunctionName="${Receiver}")
        affected = rate.events * percent // 100
        for minute in range(0, self.end, rate.every):
            slow = affected if minute >= start else 0
            self.metrics.put(metric, minute, milliseconds, slow)
            self.metrics.put(metric, minute, 60, rate.events - slow)
        return self

    def _put_lambda(
        self, name: str, function: str, minute: int, times: int = 1, value: float = 1
    ) -> None:
        reference = f"${{{function}}}"
        metric = Metric.create("AWS/Lambda", name, FunctionName=reference)
        self.metrics.put(metric, minute, value, times)

    def _put_access(
        self, status: int, minute: int, times: int, agent: str, error: str = "-"
    ) -> None:
        context: dict[str, str | int] = {
            "status": status,
            "responseLatency": 60,
            "identity.userAgent": agent,
            "error.message": error,
        }
        line = write_access_line(self._deployed.access_format, context)
        for metric_filter in self._deployed.filters:
            metric_filter.put(self.metrics, line, minute, times)
        for name in ("Count", "4xx", "5xx"):
            counts = name == "Count" or name[0] == str(status)[0]
            metric = Metric.create("AWS/ApiGateway", name, ApiId="${WebhookApi}")
            self.metrics.put(metric, minute, float(counts), times)

    def quarantine(
        self,
        start: int | None = None,
        stop: int | None = None,
        looks: Iterable[int] = (),
    ) -> Self:
        """Let `Quarantine` have messages from *start*, by default the first event's.

        At *looks* a person receives all of them, which makes them invisible.
        """
        start = min(self._quarantined) + 1 if start is None else start
        self._put_queue("Quarantine", start, self.end if stop is None else stop, looks)
        return self

    def _put_queue(
        self, queue: str, start: int, stop: int, receives: Iterable[int] = ()
    ) -> None:
        """Let a queue have a message that is invisible in the minutes *receives*."""
        received = set(receives)
        counted = sorted(received)[_COUNTED_RECEIVES - 1 : _COUNTED_RECEIVES]
        for minute in range(self.end):
            has_message = start <= minute < stop
            visible = has_message and minute not in received
            is_counted = has_message and minute < min(counted, default=stop)
            self._put_sqs("ApproximateNumberOfMessagesVisible", queue, minute, visible)
            self._put_sqs(
                "ApproximateAgeOfOldestMessage",
                queue,
                minute,
                (minute - start) * 60 * is_counted,
            )
            self._put_sqs(
                "ApproximateNumberOfMessagesNotVisible",
                queue,
                minute,
                has_message and not visible,
            )

    def _put_sqs(self, name: str, queue: str, minute: int, value: float) -> None:
        metric = Metric.create("AWS/SQS", name, QueueName=f"${{{queue}.QueueName}}")
        self.metrics.put(metric, minute, value)

    def replay(self, start: int, stop: int, changes: Mapping[int, str]) -> Self:
        """Let an event wait in `Replay` from *start* until *stop*.

        *changes* has what prevents its delivery, and from when: Hyperline is "down", or
        the Replayer is "crashing" or "disabled".
        """
        attempts = []
        for begun, end in pairwise([*sorted(changes), stop]):
            condition = changes[begun]
            for minute in range(begun + _PAUSES[condition], end, _PAUSES[condition]):
                attempts.append(minute)
                self._invoke_replayer(condition, minute, minute - start)
        self._put_queue("Replay", start, stop, attempts)
        return self

    def _invoke_replayer(self, condition: str, minute: int, waited: int) -> None:
        fails = condition == "crashing"
        self._put_lambda("Invocations", "Replayer", minute)
        self._put_lambda("Errors", "Replayer", minute, value=fails)
        if not fails:
            age = max(age for age in AGES if age * HOUR <= waited)
            self.metrics.put_line(self._lines.waiting[age], minute)

    def redrive(self, minute: int) -> Self:
        """Let the Replayer deliver what a person has moved to `Replay`."""
        self.metrics.put_line(self._lines.replayed, minute)
        self._put_lambda("Invocations", "Replayer", minute)
        self._put_lambda("Errors", "Replayer", minute, value=0)
        return self
