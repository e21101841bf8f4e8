"""A chart of the events of a type by day, as SVG.

Pure: no network, no environment, no clock.
"""

from collections.abc import Sequence
from itertools import groupby

from segment_to_hyperline.closing.markup import Html, join, table, tag
from segment_to_hyperline.closing.statements import Day
from segment_to_hyperline.text import format_count

_STEP, _BAR = 24, 16
_HEIGHT, _TOP, _BOTTOM = 120, 20, 22


def draw_charts(days: Sequence[Day]) -> Html:
    """Return a chart for each event type, with its numbers as a table."""
    return join(
        _draw_chart(event_type, list(same))
        for event_type, same in groupby(days, lambda day: day.event_type)
    )


def _draw_chart(event_type: str, days: Sequence[Day]) -> Html:
    most = max(*(max(day.sent, day.stored) for day in days), 1)
    width = _STEP * len(days)
    sent, billed = sum(day.sent for day in days), sum(day.stored for day in days)
    label = (
        f"{event_type} by day: {format_count(sent, 'event')} sent, {billed:,} billed,"
        f" at most {most:,} a day"
    )
    svg = tag(
        "svg",
        join(_draw_day(position, day, most) for position, day in enumerate(days)),
        viewBox=f"0 0 {width} {_TOP + _HEIGHT + _BOTTOM}",
        role="img",
        aria_label=label,
    )
    different = [day for day in days if day.sent != day.stored]
    numbers = table(
        "Days on which the numbers differ",
        ("day", "sent", "billed"),
        ((day.day, day.sent, day.stored) for day in different),
    )
    drawn = tag("div", svg, class_="scroll")
    return tag("figure", tag("figcaption", label), drawn, numbers)


def _draw_day(position: int, day: Day, most: int) -> Html:
    """Return the bar of a day: billed is filled, and sent is its outline."""
    left = position * _STEP + (_STEP - _BAR) / 2
    title = f"{day.day}: {day.sent:,} sent, {day.stored:,} billed"
    parts = [tag("title", title)]
    for name, number in (("billed", day.stored), ("sent", day.sent)):
        # So that a single event is seen.
        height = max(_HEIGHT * number / most, 1) if number else 0
        parts.append(
            tag(
                "rect",
                class_=name,
                x=f"{left:g}",
                y=f"{_TOP + _HEIGHT - height:.1f}",
                width=_BAR,
                height=f"{height:.1f}",
            )
        )
    middle = left + _BAR / 2
    if day.sent != day.stored:
        parts.append(tag("text", "▼", class_="differs", x=f"{middle:g}", y=_TOP - 6))
    y = _TOP + _HEIGHT + _BOTTOM - 6
    parts.append(tag("text", day.day[-2:], x=f"{middle:g}", y=y))
    return tag("g", *parts)
