"""The tables of a month's report, as CSV files for a spreadsheet program.

Pure: no network, no environment, no clock.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from segment_to_hyperline.closing.statements import EventGroup, MonthReport
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.rows import format_milliseconds

type Cell = str | int | Decimal | None
type Row = Sequence[Cell]

# What a spreadsheet program takes for the beginning of a formula.
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@")
# Without it, Excel doesn't read a file as UTF-8.
_BYTE_ORDER_MARK = "\ufeff"
_TOTAL = "total"


def list_tables(report: MonthReport, customers: Customers) -> Mapping[str, str]:
    """Return the contents of the files by their names."""
    contents = {name: create(report) for name, create in _TABLES.items()}
    contents["differences.csv"] = _list_differences(report, customers)
    return {name: write_table(*content) for name, content in contents.items()}


def write_table(header: Sequence[str], rows: Iterable[Row]) -> str:
    """Return a table as CSV: numbers have all digits, and texts are no formulas."""
    file = io.StringIO(newline="")
    file.write(_BYTE_ORDER_MARK)
    writer = csv.writer(file)
    writer.writerow(header)
    writer.writerows(list(map(_format, row)) for row in rows)
    return file.getvalue()


def _format(cell: Cell) -> str:
    if isinstance(cell, str):
        return _protect(cell)
    return "" if cell is None else format(Decimal(cell), "f")


def _protect(text: str) -> str:
    """Return *text* as a spreadsheet program shows it, and doesn't evaluate it."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return f"'{plain}" if plain.lstrip().startswith(_FORMULA) else plain


type _Table = tuple[Sequence[str], list[Row]]


def _list_customers(report: MonthReport) -> _Table:
    rows: list[Row] = [
        (
            *(statement.customer, statement.hyperline_id, usage.event_type),
            *(usage.sent.events, usage.stored.events),
            *(usage.missing, usage.different, usage.unexpected),
        )
        for statement in report.statements
        for usage in statement.stored
    ]
    header = (
        *("customer", "hyperline_id", "event_type", "sent", "billed"),
        *("missing", "different", "unexpected"),
    )
    return header, [*rows, _add_up(rows, header, 3)]


def _list_properties(report: MonthReport) -> _Table:
    rows: list[Row] = []
    for statement in report.statements:
        for usage in statement.stored:
            sent, stored = usage.sent.totals, usage.stored.totals
            for name in sorted(sent.keys() | stored.keys()):
                totals = (each.get(name, Decimal(0)) for each in (sent, stored))
                rows.append((statement.customer, usage.event_type, name, *totals))
    return ("customer", "event_type", "property", "sent", "billed"), rows


def _list_days(report: MonthReport) -> _Table:
    header = ("day", "event_type", "sent", "billed")
    rows: list[Row] = list(report.days)
    return header, [*rows, _add_up(rows, header, 2)]


def _list_aggregators(report: MonthReport) -> _Table:
    header = (
        *("customer", "aggregator", "unit", "events_expected", "total_expected"),
        *("events_counted", "total_counted", "problem", "not_checked"),
    )
    return header, [
        (statement.customer, *counted)
        for statement in report.statements
        for counted in statement.counted
    ]


def _list_invoices(report: MonthReport) -> _Table:
    header = (
        "customer",
        "invoice",
        "number",
        "status",
        "from",
        "to",
        "issued",
        "events",
    )
    return header, [
        (
            *(statement.customer, invoice.id, invoice.number, invoice.status),
            *map(_format_time, (invoice.start, invoice.end, invoice.issued_at)),
            invoice.events,
        )
        for statement in report.statements
        for invoice in statement.invoices
    ]


def _list_not_invoiced(report: MonthReport) -> _Table:
    return _list_groups((s.customer, s.not_invoiced) for s in report.statements)


def _list_wrongly_invoiced(report: MonthReport) -> _Table:
    return _list_groups((s.customer, s.wrongly_invoiced) for s in report.statements)


def _list_groups(customers: Iterable[tuple[str, Sequence[EventGroup]]]) -> _Table:
    """Return a row for each group, and one for each of its properties."""
    rows: list[Row] = []
    for customer, groups in customers:
        for event_type, reason, amount in groups:
            group = customer, event_type, reason
            rows.append((*group, amount.events, None, None))
            for name, total in sorted(amount.totals.items()):
                rows.append((*group, None, name, total))
    return ("customer", "event_type", "reason", "events", "property", "total"), rows


def _list_not_billable(report: MonthReport) -> _Table:
    header = ("outcome", "reason", "events")
    rows: list[Row] = list(report.not_billable)
    return header, [*rows, _add_up(rows, header, 2)]


def _list_differences(report: MonthReport, customers: Customers) -> _Table:
    header = (
        *("kind", "event_type", "record_id", "time", "customer", "origin"),
        "fields",
    )
    return header, [
        (
            *(finding.kind, finding.event_type, finding.record_id),
            _format_time(finding.time or None),
            *(customers.find_name(finding.customer), finding.origin),
            json.dumps(finding.details, sort_keys=True) if finding.details else None,
        )
        for finding in report.findings
    ]


def _add_up(rows: Sequence[Row], header: Sequence[str], position: int) -> Row:
    """Return the last row, with the totals of the columns from a *position*."""
    totals = [
        sum(cell for row in rows if isinstance(cell := row[column], int))
        for column in range(position, len(header))
    ]
    return (_TOTAL, *([None] * (position - 1)), *totals)


def _format_time(moment: int | None) -> str | None:
    return None if moment is None else format_milliseconds(moment)


_TABLES: Mapping[str, Callable[[MonthReport], _Table]] = {
    "customers.csv": _list_customers,
    "properties.csv": _list_properties,
    "days.csv": _list_days,
    "aggregators.csv": _list_aggregators,
    "invoices.csv": _list_invoices,
    "not-invoiced.csv": _list_not_invoiced,
    "wrongly-invoiced.csv": _list_wrongly_invoiced,
    "not-billable.csv": _list_not_billable,
}
