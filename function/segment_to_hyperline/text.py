"""Text for people: numbers with their noun, printable names, and aligned columns."""

import json
from collections import Counter
from collections.abc import Sequence


def format_count(number: int, noun: str) -> str:
    """Return `1 event`, `2 events` and so on, for a *noun* with a regular plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def make_printable(text: str) -> str:
    """Return *text*, escaped if it is empty or contains control characters."""
    return text if text.isprintable() and text else json.dumps(text)


def align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return each of *rows* as a line, with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def list_counts(counts: Counter[str]) -> list[str]:
    """Return a line for each of *counts*, the largest first."""
    return align([(f"{n:,}", make_printable(name)) for name, n in counts.most_common()])
