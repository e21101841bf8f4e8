"""Text for people: numbers with their noun, printable names, and aligned columns."""

import json
import textwrap
from collections import Counter
from collections.abc import Sequence

# What a terminal shows in a line.
LINE_LENGTH = 80
# The least that `align_and_wrap` leaves for the last column: a UUID fits.
_LAST_WIDTH = 40


def format_count(number: int, noun: str) -> str:
    """Return `1 event`, `2 events` and so on, for a *noun* with a regular plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def make_printable(text: str) -> str:
    """Return *text*, escaped if it is empty or contains control characters."""
    return text if text.isprintable() and text else json.dumps(text)


def align(rows: Sequence[tuple[str, ...]], most: int | None = None) -> list[str]:
    """Return each of *rows* as a line, with aligned columns.

    If a line would have more than *most* characters, the widest columns are shortened.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if most is not None:
        _shorten(widths, most - 2 * (len(widths) - 1))
    return [
        "  ".join(
            f"{cut(cell, width):<{width}}"
            for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def align_and_wrap(rows: Sequence[tuple[str, ...]], most: int) -> list[str]:
    """Return *rows* as lines of at most *most* characters, with aligned columns.

    The last column continues on more lines, so that nothing of it is lost. The other
    columns are shortened if they leave less than 40 characters for it.
    """
    last_width = min(_LAST_WIDTH, max((len(row[-1]) for row in rows), default=0))
    heads = align([row[:-1] for row in rows], most - last_width - 2) if rows else []
    width = max(map(len, heads), default=0)
    lines: list[str] = []
    for head, row in zip(heads, rows, strict=True):
        last, *more = textwrap.wrap(
            row[-1], most - width - 2, break_on_hyphens=False
        ) or [""]
        lines.append(f"{head:<{width}}  {last}".rstrip())
        lines += [f"{'':<{width}}  {each}" for each in more]
    return lines


def cut(text: str, most: int) -> str:
    """Return *text*, or its beginning with at most *most* characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _shorten(widths: list[int], most: int) -> None:
    """Reduce the largest of *widths*, until their sum is at most *most*."""
    while sum(widths) > most and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1


def list_counts(counts: Counter[str]) -> list[str]:
    """Return a line for each of *counts*, the largest first."""
    return align([(f"{n:,}", make_printable(name)) for name, n in counts.most_common()])
