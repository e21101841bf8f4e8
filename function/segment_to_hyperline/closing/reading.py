"""Read at the core API what a month is counted and invoiced by, as far as allowed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.closing.invoicing import Catalog
from segment_to_hyperline.closing.months import Month
from segment_to_hyperline.reconciliation.api.client import Client
from segment_to_hyperline.reconciliation.api.core.aggregators import read_aggregators
from segment_to_hyperline.reconciliation.api.core.catalog import (
    read_products,
    read_subscriptions,
)
from segment_to_hyperline.reconciliation.api.core.entities import Entity, read_entities
from segment_to_hyperline.reconciliation.api.core.invoices import (
    CreditNote,
    InvoicedEvent,
    InvoiceRow,
    read_credit_notes,
    read_invoiced_events,
    read_invoices,
)
from segment_to_hyperline.reconciliation.api.core.usage import (
    CustomerUsage,
    read_usage,
)
from segment_to_hyperline.reconciliation.api.failures import AccessError
from segment_to_hyperline.reconciliation.api.in_flight import work_in_flight
from segment_to_hyperline.reconciliation.planning import GRACE_DAYS
from segment_to_hyperline.reconciliation.progress import Report

_NO_HOST = "HYPERLINE_CORE_URL is not set"


class Zone(NamedTuple):
    """The time zone and grace period that were given by hand."""

    time_zone: str | None = None
    grace_days: int | None = None


class Reader:
    """Reads at the core API; *core* is None if its host isn't known.

    What can't be read because of the key is None, and `not_checked` has the reason.
    Raises `HyperlineUnavailable`.
    """

    def __init__(self, core: Client | None, report: Report) -> None:
        # Why something could not be read, by its name.
        self.not_checked: dict[str, str] = {}
        self._core = core
        self._report = report

    def find_entities(self, zone: Zone) -> Sequence[Entity]:
        """Return the invoicing entities, with what was given by hand instead.

        Raises `InputError` if they can't be read, and no time zone was given.
        """
        if zone.time_zone and zone.grace_days is not None:
            return [Entity("", "", zone.time_zone, zone.grace_days, is_default=True)]
        entities = self._read("invoicing entities", read_entities)
        if not entities:
            if zone.time_zone:
                return [Entity("", "", zone.time_zone, GRACE_DAYS, is_default=True)]
            reason = self.not_checked.get("invoicing entities", "there are none")
            raise InputError(
                f"the invoicing entities can't be read ({reason}): give the time zone"
                " of the invoices, such as Europe/Paris, with --time-zone"
            )
        return [_override(entity, zone) for entity in entities]

    def read_catalog(self) -> Catalog:
        """Return by what events are counted and invoiced."""
        self._report("reading aggregators, products and subscriptions", 0, 0)
        return Catalog(
            self._read("aggregators", read_aggregators),
            self._read("products", read_products),
            self._read("subscriptions", read_subscriptions),
        )

    def read_usage(
        self, months: Mapping[str, Month]
    ) -> Iterator[tuple[str, Mapping[str, CustomerUsage] | str]]:
        """Yield what is counted of each customer, or why that can't be read.

        *months* has the month of each customer by Hyperline's id.
        """

        def read(customer: str) -> Mapping[str, CustomerUsage] | str:
            month = months[customer]
            return self._try(
                lambda core: read_usage(core, customer, month.start, month.end)
            )

        yield from self._work(read, months, "reading what Hyperline counts")

    def read_invoices(self, start: int, end: int) -> Sequence[InvoiceRow] | None:
        """Return the invoices with a part of this time, in milliseconds since 1970."""
        self._report("reading invoices", 0, 0)
        return self._read("invoices", partial(read_invoices, start=start, end=end))

    def read_credit_notes(self) -> Sequence[CreditNote]:
        """Return the credit notes; none if invoices can't be read."""
        return self._read("invoices", read_credit_notes) or ()

    def read_events(
        self, invoices: Sequence[InvoiceRow], start: int, end: int
    ) -> Iterator[tuple[InvoiceRow, list[InvoicedEvent] | str]]:
        """Yield the events of this time on each invoice, or why they can't be read."""

        def read(invoice: InvoiceRow) -> list[InvoicedEvent] | str:
            return self._try(
                lambda core: read_invoiced_events(core, invoice, start, end)
            )

        yield from self._work(read, invoices, "reading the events of invoices")

    def _work[Item, Result](
        self, read: Callable[[Item], Result], items: Iterable[Item], phase: str
    ) -> Iterator[tuple[Item, Result]]:
        every = list(items)
        for number, result in enumerate(work_in_flight(read, every), 1):
            self._report(phase, number, len(every))
            yield result

    def _read[Content](
        self, name: str, read: Callable[[Client], Content]
    ) -> Content | None:
        content = self._try(read)
        if isinstance(content, str):
            self.not_checked[name] = content
            return None
        return content

    def _try[Content](self, read: Callable[[Client], Content]) -> Content | str:
        """Return what *read* returns, or why it can't."""
        if self._core is None:
            return _NO_HOST
        try:
            return read(self._core)
        except AccessError as error:
            return str(error)


def _override(entity: Entity, zone: Zone) -> Entity:
    return entity._replace(
        time_zone=zone.time_zone or entity.time_zone,
        grace_days=entity.grace_days if zone.grace_days is None else zone.grace_days,
    )
