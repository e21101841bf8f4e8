"""The customers on the page of a month's report, and the statement of each.

Pure: no network, no environment, no clock.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from hashlib import sha256

from segment_to_hyperline.closing.markup import Content, Html, join, table, tag
from segment_to_hyperline.closing.months import to_local_time
from segment_to_hyperline.closing.statements import (
    CountedUsage,
    EventGroup,
    Statement,
    StoredUsage,
)
from segment_to_hyperline.preview.usage import format_number
from segment_to_hyperline.reconciliation.sums import Sum


def list_customers(statements: Sequence[Statement]) -> Html:
    """Return the table of all customers, with links to their statements."""
    return table(
        "Customers, those with differences first",
        (
            *("customer", "event type", "sent", "billed", "missing", "different"),
            *("unexpected", "on no invoice", "wrongly invoiced"),
        ),
        (row for statement in statements for row in _list_rows(statement)),
    )


def write_statement(statement: Statement) -> Html:
    """Return the statement of a customer, which begins on a page of its own."""
    start, end = (_format(time, statement) for time in (statement.start, statement.end))
    about = f"{start} to {end}, {statement.time_zone}"
    if statement.hyperline_id:
        about += f"; in Hyperline {statement.hyperline_id}"
    return tag(
        "section",
        tag("h2", statement.customer),
        tag("p", about),
        join(tag("p", note, class_="warning") for note in statement.notes),
        table(
            "Events",
            ("event type", "sent", "billed", "missing", "different", "unexpected"),
            map(_list_numbers, statement.stored),
        ),
        table(
            "Totals of properties",
            ("event type", "property", "sent", "billed"),
            (row for usage in statement.stored for row in _list_totals(usage)),
        ),
        table(
            "What Hyperline counts",
            (
                *("aggregator", "unit", "events expected", "events counted"),
                *("total expected", "total counted", "result"),
            ),
            map(_list_counts, statement.counted),
        ),
        table(
            "Invoices",
            ("number", "status", "from", "to", "issued", "events"),
            _list_invoices(statement),
        ),
        table(
            "Events on no invoice",
            ("event type", "reason", "events", "totals"),
            map(_list_group, statement.not_invoiced),
        ),
        table(
            "Events that are wrong on an invoice, with what it has of them",
            ("event type", "problem", "events", "totals"),
            map(_list_group, statement.wrongly_invoiced),
        ),
        class_="statement",
        id=_identify(statement),
    )


def _list_rows(statement: Statement) -> Iterator[Sequence[Content]]:
    link = tag("a", statement.customer, href=f"#{_identify(statement)}")
    groups = statement.not_invoiced, statement.wrongly_invoiced
    stored = {usage.event_type: usage for usage in statement.stored}
    for event_type in sorted(stored.keys() | {g.event_type for g in groups[1]}):
        usage = stored.get(event_type) or StoredUsage(event_type, Sum(), Sum(), 0, 0, 0)
        numbers = (
            sum(each.amount.events for each in found if each.event_type == event_type)
            for found in groups
        )
        yield link, *_list_numbers(usage), *numbers


def _list_group(group: EventGroup) -> Sequence[Content]:
    totals = _format_totals(group.amount.totals)
    return group.event_type, group.reason, group.amount.events, totals


def _list_numbers(usage: StoredUsage) -> Sequence[Content]:
    return (
        *(usage.event_type, usage.sent.events, usage.stored.events),
        *(usage.missing, usage.different, usage.unexpected),
    )


def _list_totals(usage: StoredUsage) -> Iterator[Sequence[Content]]:
    sent, stored = usage.sent.totals, usage.stored.totals
    for name in sorted(sent.keys() | stored.keys()):
        totals = (each.get(name, Decimal(0)) for each in (sent, stored))
        yield usage.event_type, name, *totals


def _list_counts(counted: CountedUsage) -> Sequence[Content]:
    unchecked = counted.not_checked and f"not checked: {counted.not_checked}"
    return (
        *(counted.aggregator, counted.unit),
        *(counted.expected_count, counted.actual_count),
        *(counted.expected_total, counted.actual_total),
        counted.problem or unchecked or "matches",
    )


def _list_invoices(statement: Statement) -> Iterator[Sequence[Content]]:
    for invoice in statement.invoices:
        issued = invoice.issued_at
        yield (
            *(invoice.number or invoice.id, invoice.status),
            *(_format(time, statement) for time in (invoice.start, invoice.end)),
            None if issued is None else _format(issued, statement),
            invoice.events,
        )


def _format_totals(totals: dict[str, Decimal]) -> str:
    return ", ".join(f"{name} {format_number(n)}" for name, n in sorted(totals.items()))


def _format(moment: int, statement: Statement) -> str:
    """Return a time in the time zone of the statement, to the minute."""
    time = to_local_time(moment, statement.time_zone)
    return time.isoformat(" ", "minutes")


def _identify(statement: Statement) -> str:
    """Return an id for links, since a customer's can have any characters."""
    name = f"{statement.customer} {statement.hyperline_id}"
    return f"c-{sha256(name.encode(errors='backslashreplace')).hexdigest()[:16]}"
