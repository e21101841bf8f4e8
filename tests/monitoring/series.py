"""Series: a value, or None where there is no data, for each minute of a range."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

type Series = list[float | None]
type Points = Mapping[int, Counter[float]]

_STATISTICS: Mapping[str, Callable[[Counter[float]], float]] = {
    "Sum": lambda values: sum(v * n for v, n in values.items()),
    "SampleCount": lambda values: values.total(),
    "Minimum": min,
    "Maximum": max,
}


def create_series(
    points: Points, statistic: str, period: int, minutes: range
) -> Series:
    """Return the statistic of the *period* minutes before each of *minutes*.

    The range begins with 0 or before, and no point is older than its first period.
    """
    if not points:
        return [None] * len(minutes)
    match statistic:
        case "Sum" | "SampleCount":
            return _add_up(points, _STATISTICS[statistic], period, minutes)
        case "Average":
            sums = create_series(points, "Sum", period, minutes)
            counts = create_series(points, "SampleCount", period, minutes)
            pairs = zip(sums, counts, strict=True)
            return [s / c if s is not None and c else None for s, c in pairs]
        case "Minimum" | "Maximum":
            choose = _STATISTICS[statistic]
            found = {m: choose(values) for m, values in points.items()}
            return _choose(found, min if choose is min else max, period, minutes)
    if statistic[:1] == "p" and 0 < float(statistic[1:]) < 100:
        return _find_percentile(points, float(statistic[1:]), period, minutes)
    raise ValueError(f"unknown statistic {statistic}")


def _add_up(
    points: Points,
    measure: Callable[[Counter[float]], float],
    period: int,
    minutes: range,
) -> Series:
    offset = period - minutes[0] + 1
    sums, counts = [0.0] * (len(minutes) + period), [0] * (len(minutes) + period)
    for minute, values in points.items():
        if minute < minutes[-1]:
            sums[minute + offset] = measure(values)
            counts[minute + offset] = 1
    sums, counts = list(accumulate(sums)), list(accumulate(counts))
    return [
        sums[i + period] - sums[i] if counts[i + period] > counts[i] else None
        for i in range(len(minutes))
    ]


def _choose(
    values: Mapping[int, float],
    choose: Callable[[Sequence[float]], float],
    period: int,
    minutes: range,
) -> Series:
    edge = choose([float("-inf"), float("inf")])
    absent = -edge  # never chosen, unless there is nothing else
    first = minutes[0] - period
    known = [values.get(minute, absent) for minute in range(first, minutes[-1])]
    chosen = (choose(known[i : i + period]) for i in range(len(minutes)))
    return [None if value == absent else value for value in chosen]


def _find_percentile(
    points: Points, percentile: float, period: int, minutes: range
) -> Series:
    series: Series = []
    for minute in minutes:
        values: Counter[float] = Counter()
        for m in range(minute - period, minute):
            values.update(points.get(m, {}))
        series.append(_rank(values, percentile) if values else None)
    return series


def _rank(values: Counter[float], percentile: float) -> float:
    rank = values.total() * percentile / 100
    ordered = sorted(values)
    ranks = accumulate(values[value] for value in ordered)
    return next(v for v, r in zip(ordered, ranks, strict=True) if r >= rank)
