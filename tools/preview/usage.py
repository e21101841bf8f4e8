"""Add up billable events: how many, and the total of each number in their records."""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from typing import Any, NamedTuple

# So many pairs of event type and customer are told apart, so that a file of any size
# fits the memory; what follows is added up as one.
MAX_ACCOUNTS = 10_000
MAX_NUMBERS = 50
_MAX_LISTED = 40
_DIGITS_SHOWN = 21


class Account(NamedTuple):
    """Whose usage, of what."""

    event_type: str
    customer_id: str


REST = Account("(further)", "(further)")


class Usage:
    """How many events, and the totals of their numeric properties."""

    def __init__(self) -> None:
        self.events = 0
        self.totals: dict[str, Decimal] = {}

    def __eq__(self, other: object) -> bool:
        """Return whether *other* would be billed the same."""
        return isinstance(other, Usage) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment] # it changes

    def __str__(self) -> str:
        """Return it as people read it: `12 events  revenue 240.5, seats 3`."""
        totals = (f"{show(name)} {write(n)}" for name, n in self.totals.items())
        return f"{count_events(self.events)}  {', '.join(totals)}".rstrip()

    def add(self, record: Mapping[str, Any]) -> None:
        """Add an event's *record*."""
        self.events += 1
        for name, value in record.items():
            known = name in self.totals or len(self.totals) < MAX_NUMBERS
            if known and type(value) in (int, Decimal):
                total = self.totals.get(name, Decimal(0))
                self.totals[name] = _EXACT.add(total, Decimal(value))

    def to_json(self) -> dict[str, Any]:
        """Return it for machines."""
        totals = {name: _to_number(n) for name, n in self.totals.items()}
        return {"events": self.events, "totals": totals}


class Ledger:
    """The usage of each account; ledgers that are compared share the *known* ones."""

    def __init__(self, known: set[Account]) -> None:
        self._known = known
        self._usage: defaultdict[Account, Usage] = defaultdict(Usage)

    def __getitem__(self, account: Account) -> Usage:
        """Return the usage of *account*, which may be none."""
        return self._usage[account] if account in self._usage else Usage()

    def __iter__(self) -> Iterator[Account]:
        """Yield the accounts with usage."""
        return iter(self._usage)

    def find(self, billable: dict[str, Any]) -> Account:
        """Return where a billable event, as `read` returns it, is counted."""
        account = Account(billable["event_type"], billable["customer_id"])
        if account not in self._known and len(self._known) >= MAX_ACCOUNTS:
            return REST
        self._known.add(account)
        return account

    def add(self, billable: dict[str, Any]) -> None:
        """Add a billable event, as `read` returns it."""
        self._usage[self.find(billable)].add(billable["record"])

    def to_json(self) -> list[dict[str, Any]]:
        """Return it for machines."""
        return [a._asdict() | usage.to_json() for a, usage in self._usage.items()]

    def lines(self) -> Iterator[str]:
        """Yield a line for each account, those with the most events first."""
        most = sorted(self._usage, key=lambda account: -self._usage[account].events)
        rows = [(*map(show, account), str(self[account])) for account in most]
        yield from align(rows[:_MAX_LISTED])
        if rows[_MAX_LISTED:]:
            yield f"and {len(rows) - _MAX_LISTED:,} more; --json lists them"


def read(billable: bytes) -> dict[str, Any]:
    """Return the billable event that is written in *billable*, its numbers exact."""
    content: dict[str, Any] = json.loads(billable, parse_float=Decimal)
    return content


def align(rows: list[tuple[str, ...]]) -> list[str]:
    """Return each of *rows* as a line, its columns below one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def list_counts(counts: Counter[str]) -> list[str]:
    """Return a line for each of *counts*, the largest first."""
    return align([(f"{n:,}", show(what)) for what, n in counts.most_common()])


def count_events(number: int) -> str:
    """Return `1 event`, `2 events` and so on."""
    return f"{number:,} event{'' if number == 1 else 's'}"


def show(text: str) -> str:
    """Return *text* as a terminal can show it; nothing in it can steer the terminal."""
    return text if text.isprintable() and text else json.dumps(text)


def write(number: Decimal) -> str:
    """Return *number* with all its digits, or in short if it has very many."""
    short = number.normalize(_EXACT)
    if abs(short.adjusted()) < _DIGITS_SHOWN:
        return f"{short:,f}"
    return str(Context(prec=_DIGITS_SHOWN).plus(short).normalize())


def _to_number(number: Decimal) -> int | float | str:
    """Return *number* as JSON can hold it: as text if it is beyond all measure."""
    if abs(number.adjusted()) > sys.float_info.max_10_exp:
        return str(number)
    whole = number == number.to_integral_value(context=_EXACT)
    return int(number) if whole else float(number)


# Enough for the longest numbers an event can hold.
_EXACT = Context(prec=10_000)
