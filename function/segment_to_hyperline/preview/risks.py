"""How a change of the mapping could make invoices wrong, and for which events."""

import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

from segment_to_hyperline.text import (
    LINE_LENGTH,
    align_and_wrap,
    format_count,
    make_printable,
)

# Limits so that a file of any size fits into memory.
_MAX_CHANGES = 1_000
_MAX_EVENTS = 20
_MAX_SHOWN_CHANGES = 40
_MAX_SHOWN_EVENTS = 4

_SAFELY = (
    "Deploy while no event is pending and Quarantine is empty, and don't replay older"
    " events."
)


class _Meaning(NamedTuple):
    """What a risk does to an invoice."""

    would: str
    """What happens to its events, after "would"."""
    advice: str
    """Why that matters, and what to do."""


# The risks, the most expensive first.
_MEANINGS = {
    "billed_twice": _Meaning(
        "be billed twice if retried or replayed",
        "Hyperline stores one event for each event_type and record.id. So an event that"
        " is already billed, and that Segment retries or you replay after the"
        f" deployment, is billed under both. {_SAFELY}",
    ),
    "fewer_elements": _Meaning(
        "be billed with fewer elements",
        "What Hyperline has stored for the other elements is still billed, and an index"
        " can be that of another element.",
    ),
    "moved": _Meaning(
        "move to another customer",
        "An event that is already billed moves too, if Segment retries or you replay it"
        f" after the deployment. {_SAFELY}",
    ),
    "retimed": _Meaning(
        "get another timestamp", "This can move them to another invoice."
    ),
    "lost": _Meaning(
        "no longer be billed",
        "A quarantined event is stored until you redrive it; a filtered one is not"
        " stored.",
    ),
}


class Change(NamedTuple):
    """What is different, and for which events."""

    what: str
    """Such as `Seats Added → Seats`."""
    number: int
    """The number of events."""
    events: list[str]
    """The messageIds of some of them."""


class Risk(NamedTuple):
    """A way in which invoices could become wrong."""

    kind: str
    """What programs recognize it by."""
    would: str
    advice: str
    changes: list[Change]
    """What is different, the most events first."""

    @property
    def title(self) -> str:
        """Return how many events it is about, and what would happen to them."""
        number = sum(change.number for change in self.changes)
        return f"{format_count(number, 'event')} would {self.would}"

    def rows(self) -> list[tuple[str, ...]]:
        """Return a row for each change: its number, what it is, and some events."""
        shown = [
            (f"{c.number:,}", make_printable(c.what), _list_events(c))
            for c in self.changes[:_MAX_SHOWN_CHANGES]
        ]
        more = len(self.changes) - len(shown)
        return [*shown, *([("", f"and {more:,} more", "")] if more else [])]

    def lines(self) -> Iterator[str]:
        """Yield the risk for people."""
        yield f"\nWARNING: {self.title}"
        rows = [
            (number, "  ".join(filter(None, rest))) for number, *rest in self.rows()
        ]
        yield from (f"  {line}" for line in align_and_wrap(rows, LINE_LENGTH - 2))
        yield from textwrap.wrap(
            self.advice, LINE_LENGTH, initial_indent="  ", subsequent_indent="  "
        )

    def to_json(self) -> dict[str, Any]:
        """Return the risk for programs."""
        changes = [change._asdict() for change in self.changes]
        return self._asdict() | {"title": self.title, "changes": changes}


class Risks:
    """The risks of a change that events were found for so far."""

    def __init__(self) -> None:
        self._changes: dict[str, dict[str, Change]] = {kind: {} for kind in _MEANINGS}

    def add(self, kind: str, what: str, message_id: str) -> None:
        """Add an event that a risk is about, and what is different for it."""
        changes = self._changes[kind]
        if what not in changes and len(changes) >= _MAX_CHANGES:
            what = "(others)"
        _, number, events = changes.get(what) or Change(what, 0, [])
        if len(events) < _MAX_EVENTS:
            events.append(message_id)
        changes[what] = Change(what, number + 1, events)

    def list(self) -> list[Risk]:
        """Return the risks that were found, the most expensive first."""
        return [
            Risk(kind, *meaning, sorted(changes, key=lambda c: -c.number))
            for kind, meaning in _MEANINGS.items()
            if (changes := self._changes[kind].values())
        ]


def _list_events(change: Change) -> str:
    shown = list(map(make_printable, change.events[:_MAX_SHOWN_EVENTS]))
    more = change.number - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
