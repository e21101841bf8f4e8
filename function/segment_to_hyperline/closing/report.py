"""What the report of a month says, from everything that was found out about it.

Pure: no network, no environment, no clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from segment_to_hyperline.closing.close import Closed
from segment_to_hyperline.closing.months import Month, to_local_time
from segment_to_hyperline.closing.statements import (
    Invoice,
    MonthReport,
    NotBillable,
    Statement,
    Step,
    StoredUsage,
)
from segment_to_hyperline.reconciliation.api.customers import CUSTOMER_PREFIX
from segment_to_hyperline.reconciliation.api.rows import read_milliseconds
from segment_to_hyperline.reconciliation.header import Header
from segment_to_hyperline.reconciliation.reconcile import LOOKED_UP
from segment_to_hyperline.text import cut, format_count, make_printable

# Of event types that nothing invoices, how many are in the summary.
_MAX_NAMES, _MAX_NAME = 3, 50
_QUARANTINED = "quarantined"
_INFERRED = "Hyperline's id of this customer was inferred from the events"


class Totals(NamedTuple):
    """The numbers of the whole month."""

    sent: int
    missing: int
    different: int
    unexpected: int
    counted: int
    """How many aggregated values differ."""
    not_invoiced: int
    """How many stored events are on no invoice."""
    wrongly_invoiced: int
    """How many events are wrong on an invoice."""
    quarantined: int
    """How many events the mapping can't bill."""


def create_report(closed: Closed, header: Header) -> MonthReport:
    """Return the report of a month."""
    found = closed.found
    usages: dict[str, Sequence[StoredUsage]] = dict(closed.usage.list_usage())
    customers = sorted(usages.keys() | closed.invoiced.wrong.keys())
    statements = sorted(
        (_create_statement(closed, each, usages.get(each, ())) for each in customers),
        key=lambda each: (not each.has_differences, each.customer),
    )
    not_billable = list(_list_not_billable(closed))
    totals = _add_up(statements, not_billable)
    month = max(closed.usage.list_months(), key=lambda each: each.closed_at)
    inferred = [] if found.customers_from == LOOKED_UP else [found.customers_from]
    steps = {
        "stored": Step(
            totals.missing + totals.different + totals.unexpected + totals.quarantined,
            [f"customers: {reason}" for reason in [*inferred, *closed.doubts]],
        ),
        "counted": Step(totals.counted, closed.counted_not_checked),
        "invoiced": Step(
            totals.not_invoiced + totals.wrongly_invoiced, closed.invoiced.not_checked
        ),
    }
    return MonthReport(
        month.name,
        _summarize(month, totals, steps, closed.invoiced.uninvoiced_types),
        _describe_closing(
            month,
            read_milliseconds(header.read_at) or 0,
            closed.invoiced.not_issued,
        ),
        header,
        steps["stored"],
        steps["counted"],
        steps["invoiced"],
        statements,
        list(closed.usage.list_days()),
        closed.findings,
        not_billable,
        closed.invoiced.uninvoiced_types,
    )


def _create_statement(
    closed: Closed, customer: str, usage: Sequence[StoredUsage]
) -> Statement:
    customers = closed.found.customers
    name = customers.find_name(customer)
    month = closed.usage.find_month(customer)
    rows = closed.invoiced.invoices.get(customer, ())
    events = closed.invoiced.events
    invoices = [Invoice(*row[:3], *row[4:7], events.get(row.id, 0)) for row in rows]
    notes = [_INFERRED] if name in customers.inferred else []
    return Statement(
        name or "(no customer)",
        customer if customer.startswith(CUSTOMER_PREFIX) else "",
        month.time_zone,
        month.start,
        month.end,
        usage,
        closed.counted.get(customer, ()),
        invoices,
        closed.invoiced.missing.get(customer, ()),
        closed.invoiced.wrong.get(customer, ()),
        [*notes, *_list_other_periods(closed, customer, month)],
    )


def _list_other_periods(closed: Closed, customer: str, month: Month) -> Iterator[str]:
    """Yield a note for each invoice whose period isn't the calendar month.

    Without invoices, the current periods of the subscriptions are used.
    """
    invoices = closed.invoiced.invoices.get(customer, ())
    for invoice in invoices:
        # The end of a period is the start of the next one, or a millisecond before it.
        if invoice.start != month.start or not 0 <= month.end - invoice.end <= 1:
            period = _format_period(invoice.start, invoice.end, month)
            name = invoice.name
            yield f"Invoice {name} is for {period}, and not for the calendar month"
    own = (s for s in closed.subscriptions if s.customer_id == customer)
    for start, end in (s.period for s in own if s.period and not invoices):
        if not _format_time(start, month).endswith("-01T00:00:00"):
            shown = _format_period(start, end, month)
            yield f"The subscription's period is {shown}, and not a calendar month"


def _add_up(
    statements: Sequence[Statement], not_billable: Sequence[NotBillable]
) -> Totals:
    usages = [usage for statement in statements for usage in statement.stored]
    return Totals(
        sum(usage.sent.events for usage in usages),
        sum(usage.missing for usage in usages),
        sum(usage.different for usage in usages),
        sum(usage.unexpected for usage in usages),
        sum(bool(each.problem) for s in statements for each in s.counted),
        sum(each.amount.events for s in statements for each in s.not_invoiced),
        sum(each.amount.events for s in statements for each in s.wrongly_invoiced),
        sum(each.events for each in not_billable if each.outcome == _QUARANTINED),
    )


def _summarize(
    month: Month,
    totals: Totals,
    steps: Mapping[str, Step],
    uninvoiced: Sequence[str],
) -> str:
    """Return the result in one sentence, and in another one what wasn't checked."""
    kinds = ("missing", "different", "unexpected")
    found = [f"{getattr(totals, kind):,} {kind}" for kind in kinds]
    problems = [text for text in found if not text.startswith("0 ")]
    if totals.quarantined:
        problems.append(f"{totals.quarantined:,} that can't be billed")
    if totals.counted:
        problems.append(f"{format_count(totals.counted, 'total')} counted differently")
    if totals.not_invoiced:
        problems.append(f"{totals.not_invoiced:,} on no invoice")
    if totals.wrongly_invoiced:
        problems.append(f"{totals.wrongly_invoiced:,} wrongly invoiced")
    if uninvoiced:
        names = [
            cut(make_printable(name), _MAX_NAME) for name in uninvoiced[:_MAX_NAMES]
        ]
        more = [f"{len(uninvoiced) - _MAX_NAMES:,} more"] * (
            len(uninvoiced) > _MAX_NAMES
        )
        problems.append(f"and nothing invoices {_join([*names, *more])}")
    right = [name for name, step in steps.items() if not step.not_checked]
    if not problems and right:
        problems = [f"all {_join(right)}"]
    name = f"{datetime.fromisoformat(f'{month.name}-01'):%B %Y}"
    sent = format_count(totals.sent, "event")
    summary = f"{name}: {', '.join([f'{sent} sent', *problems])}."
    unchecked = [name for name, step in steps.items() if step.not_checked]
    if unchecked:
        summary += f" Not checked completely: {_join(unchecked)}."
    return summary


def _join(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _describe_closing(month: Month, now: int, not_issued: int | None) -> str:
    """Return whether the month is closed *now*, in milliseconds since 1970.

    Some of its invoices may be *not_issued*, or it isn't known whether they are.
    """
    day = _format_day(month.closed_at, month)
    if now >= month.closed_at and not_issued is None:
        return (
            f"The grace period ended on {day}. Whether the invoices are issued was not"
            " checked."
        )
    if now >= month.closed_at and not_issued:
        number = format_count(not_issued, "invoice")
        verb = "isn't" if not_issued == 1 else "aren't"
        return (
            f"The month isn't closed: {number} {verb} issued, although the grace period"
            f" ended on {day}. Make the report again after that."
        )
    if now >= month.closed_at:
        return f"The month is closed: since {day}, its invoices don't change any more."
    return (
        f"The month isn't closed: its invoices can change until {day}. Make the report"
        " again after that."
    )


def _list_not_billable(closed: Closed) -> Iterator[NotBillable]:
    numbers: dict[tuple[str, str], int] = {}
    start, end = closed.usage.find_range()
    for outcome, reason, _, number in closed.found.store.unbilled(start, end):
        numbers[outcome, reason] = numbers.get((outcome, reason), 0) + number
    for (outcome, reason), number in numbers.items():
        yield NotBillable(outcome, reason, number)


def _format_period(start: int, end: int, month: Month) -> str:
    return f"{_format_day(start, month)} to {_format_day(end - 1, month)}"


def _format_day(moment: int, month: Month) -> str:
    return _format_time(moment, month)[: len("2026-01-31")]


def _format_time(moment: int, month: Month) -> str:
    return to_local_time(moment, month.time_zone).isoformat()
