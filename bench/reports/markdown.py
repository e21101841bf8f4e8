"""Write Markdown."""

import textwrap
from collections.abc import Iterable, Sequence


def write_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def wrap(paragraph: str) -> str:
    """Return a *paragraph* in lines of the usual length."""
    return textwrap.fill(paragraph, 92, break_long_words=False, break_on_hyphens=False)
