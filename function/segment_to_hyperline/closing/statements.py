"""What the report of a month says: a statement for each customer, and the whole.

All times are in milliseconds since 1970, and a range ends before its end.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from segment_to_hyperline.reconciliation.findings import Finding
from segment_to_hyperline.reconciliation.header import Header
from segment_to_hyperline.reconciliation.sums import Sum


class StoredUsage(NamedTuple):
    """The events of a customer and type: what was sent, and what Hyperline stored."""

    event_type: str
    sent: Sum
    """What Segment sent, as the mapping bills it."""
    stored: Sum
    """What Hyperline has."""
    missing: int
    """Events that Hyperline doesn't have, or that could not be looked up."""
    different: int
    """Events that Hyperline has with other contents."""
    unexpected: int
    """Events that Hyperline has, and that should not be billed."""


class CountedUsage(NamedTuple):
    """What an aggregator counts of a customer's events, and what it should count."""

    aggregator: str
    """Its name."""
    unit: str
    """What it counts, such as `seat`; can be empty."""
    expected_count: int
    """The number of events that it should count."""
    expected_total: Decimal | None
    """What these add up to, or None for a formula."""
    actual_count: int | None
    """The number of events that Hyperline counts, or None if it isn't known."""
    actual_total: Decimal | None
    """What these add up to in Hyperline, or None."""
    problem: str
    """What differs, for a person; empty if nothing does."""
    not_checked: str
    """Why something could not be compared; empty if everything was."""


class Invoice(NamedTuple):
    """An invoice that covers a part of the month."""

    id: str
    """Hyperline's id, `inv_…`."""
    number: str
    """Its number for people, such as `INV-35`; can be empty."""
    status: str
    """Hyperline's word, such as `draft` or `paid`."""
    start: int
    """The start of its period."""
    end: int
    """The end of its period."""
    issued_at: int | None
    """When it was issued, or None."""
    events: int
    """How many of the month's events are on it."""


class EventGroup(NamedTuple):
    """Events of a type that should be on an invoice, or should not."""

    event_type: str
    reason: str
    """What is wrong with them, for a person."""
    amount: Sum


class Statement(NamedTuple):
    """The month of a customer."""

    customer: str
    """The id that the mapping sends, or Hyperline's if that is unknown."""
    hyperline_id: str
    """Hyperline's id, `cus_…`; empty if it is unknown."""
    time_zone: str
    """The time zone of its invoicing entity, whose month it is."""
    start: int
    """The first instant of the month."""
    end: int
    """The end of the month."""
    stored: Sequence[StoredUsage]
    """By event type."""
    counted: Sequence[CountedUsage]
    """By the name of the aggregator; empty if nothing was counted or checked."""
    invoices: Sequence[Invoice]
    """By their start; empty if there are none, or if they were not checked."""
    not_invoiced: Sequence[EventGroup]
    """What Hyperline stored and is on no invoice, by event type and reason."""
    wrongly_invoiced: Sequence[EventGroup]
    """What is on an invoice and is wrong there, with the amounts on the invoice."""
    notes: Sequence[str]
    """What a reader must know, such as a period that isn't the calendar month."""

    @property
    def has_differences(self) -> bool:
        """Return whether a person must look at something."""
        return bool(
            self.not_invoiced
            or self.wrongly_invoiced
            or any(each.problem for each in self.counted)
            or any(u.missing or u.different or u.unexpected for u in self.stored)
        )


class Step(NamedTuple):
    """The result of one of the three steps, for all customers."""

    differences: int
    """How many events or aggregated values differ."""
    not_checked: Sequence[str]
    """What was not checked, and why; empty if everything was."""


class Day(NamedTuple):
    """The events of a type on a day, in the time zones of the customers."""

    day: str
    """The date, such as `2026-01-31`."""
    event_type: str
    sent: int
    """The number of events that Segment sent, as the mapping bills them."""
    stored: int
    """The number of events that Hyperline has."""


class NotBillable(NamedTuple):
    """Events for which nothing is billed."""

    outcome: str
    """Such as `filtered`."""
    reason: str
    events: int


class MonthReport(NamedTuple):
    """Everything that the report of a month shows."""

    month: str
    """Such as `2026-01`."""
    summary: str
    """One sentence."""
    closing: str
    """Whether the month is closed, or until when its invoices can change."""
    header: Header
    """Where the result is from."""
    stored: Step
    counted: Step
    invoiced: Step
    statements: Sequence[Statement]
    """Those with differences first, then by name."""
    days: Sequence[Day]
    """By event type and day; every day of the month is there for each type."""
    findings: Sequence[Finding]
    """The differences between what was sent and what is stored."""
    not_billable: Sequence[NotBillable]
    """By outcome and reason."""
    uninvoiced_types: Sequence[str]
    """Event types of which no event is on an invoice."""

    @property
    def has_differences(self) -> bool:
        """Return whether one of the steps has a difference."""
        return any(s.differences for s in (self.stored, self.counted, self.invoiced))

    def list_not_checked(self) -> list[str]:
        """Return what was not checked, and why; empty if everything was."""
        steps = (self.stored, self.counted, self.invoiced)
        return [reason for step in steps for reason in step.not_checked]
