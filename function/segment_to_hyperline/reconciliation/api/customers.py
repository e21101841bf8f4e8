"""Which customer of the owner's each of Hyperline's customers is.

Hyperline shows the customer of an event by its own id, `cus_…`. The core API has the
owner's id, `external_id`, of each customer; where the API key may not read it, it is
inferred from the events.
https://docs.hyperline.co/api-reference/endpoints/customers/list-customers-1
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from segment_to_hyperline.reconciliation.api.client import Client, Endpoint
from segment_to_hyperline.reconciliation.api.core.lists import (
    MAX_PAGE,
    read_cursor_list,
)
from segment_to_hyperline.reconciliation.api.failures import (
    NOT_DOCUMENTED,
    Failure,
)
from segment_to_hyperline.reconciliation.api.rows import encode_text

CUSTOMER_PREFIX = "cus_"
# The status that a deleted customer is given here.
DELETED = "deleted"
# As many customers are expected if their number is unknown.
_MAX_UNKNOWN = 10_000
_READ = Endpoint("GET", "/v2/customers", "read customers")


class Customers:
    """Which of Hyperline's customers belong to those of the owner.

    *ids* has Hyperline's id of each known customer by the owner's id. Those of
    *inferred* are not from the core API, but follow from the events. *entities* has the
    id of the invoicing entity by Hyperline's id of the customer, as far as it is known,
    and *statuses* the status, such as `automatically_created`.
    """

    def __init__(
        self,
        ids: Mapping[str, str],
        inferred: frozenset[str] = frozenset(),
        entities: Mapping[str, str] = MappingProxyType({}),
        statuses: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.ids = ids
        self.inferred = inferred
        self.entities = entities
        self.statuses = statuses
        self._names = {customer_id: name for name, customer_id in ids.items()}

    def find_id(self, name: str) -> str | None:
        """Return Hyperline's id of a customer; events can have it instead of *name*."""
        own = name if name.startswith(CUSTOMER_PREFIX) else None
        return self.ids.get(name, own)

    def find_name(self, customer_id: str) -> str:
        """Return the owner's id of a customer, or Hyperline's if that is unknown."""
        return self._names.get(customer_id, customer_id)

    def find_problem(self, name: str, found: str | None) -> list[str | None] | None:
        """Return the expected and the *found* customer of an event, if they differ.

        They have Hyperline's ids as far as known. Without one for *name*, only a
        customer that is known to be another one is a problem.
        """
        expected = self.find_id(name)
        if found is None or found in self._names or expected is not None:
            return None if found and found == expected else [expected or name, found]
        return None


def infer(pairs: Iterable[tuple[str, str, int]], known: Customers) -> Customers:
    """Return *known* and the customers that follow from *pairs*.

    A pair has the owner's and Hyperline's id of a customer, and the number of events
    that have both. No customer belongs to two others, and the pair with the most events
    counts.
    """
    ids = dict(known.ids)
    taken = set(ids.values())
    for name, found, _ in sorted(pairs, key=lambda pair: (-pair[2], *pair)):
        if known.find_id(name) is None and name not in ids and found not in taken:
            ids[name] = found
            taken.add(found)
    inferred = known.inferred | (ids.keys() - known.ids.keys())
    return Customers(ids, inferred, known.entities, known.statuses)


def find_customers(
    client: Client, wanted: Iterable[str], *, read_all: bool = False
) -> Customers:
    """Return the *wanted* customers that the core API has, and maybe others.

    All are returned if *read_all* is set. Raises `Forbidden` if the key may not read
    customers, and others as `Client.get`.
    """
    if read_all:
        return _merge(_read_all(client))
    names = {name for name in wanted if name and not name.startswith(CUSTOMER_PREFIX)}
    if not names:
        return Customers({})
    query = {"limit": "1", "include_total": "true"}
    total = client.get(_READ, query, _read_page).total or _MAX_UNKNOWN
    found = _look_up(client, names) if len(names) < total / MAX_PAGE else None
    return _merge(_read_all(client)) if found is None else found


def _look_up(client: Client, names: Iterable[str]) -> Customers | None:
    """Return these customers; None if Hyperline ignores what is asked for.

    It ignores parameters that it doesn't know, and then returns all customers.
    """
    found: list[_Customer] = []
    for name in sorted(names):
        query = {"external_id__equals": name, "limit": str(MAX_PAGE)}
        rows = client.get(_READ, query, _read_page).rows
        if any(row.name != name for row in rows):
            return None
        found += rows
    return _merge(found)


def _read_all(client: Client) -> "Iterator[_Customer]":
    yield from map(_read_customer, read_cursor_list(client, _READ))


class _Customer(NamedTuple):
    id: str
    name: str | None
    """The owner's id, if there is one."""
    is_deleted: bool
    entity: str | None
    """The id of its invoicing entity, if it is known."""
    status: str
    """Such as `active`; empty if it isn't known."""


class _Page(NamedTuple):
    rows: list[_Customer]
    total: int | None
    """The number of all customers, if it was asked for."""


def _merge(customers: Iterable[_Customer]) -> Customers:
    """Return the customers; a deleted one can have a successor with the same name."""
    ids: dict[str, str] = {}
    entities: dict[str, str] = {}
    statuses: dict[str, str] = {}
    for customer_id, name, is_deleted, entity, status in customers:
        if name is not None and not (is_deleted and name in ids):
            ids[name] = customer_id
        if entity is not None:
            entities[customer_id] = entity
        statuses[customer_id] = DELETED if is_deleted else status
    return Customers(ids, entities=entities, statuses=statuses)


def _read_page(content: Any) -> _Page | Failure:
    match content:
        case {"data": [*rows]} if all(map(_is_customer, rows)):
            total = content.get("total")
            return _Page(
                list(map(_read_customer, rows)),
                total if isinstance(total, int) else None,
            )
        case _:
            return NOT_DOCUMENTED


def _is_customer(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("id"), str)


def _read_customer(row: Mapping[str, Any]) -> _Customer:
    name = row.get("external_id")
    text = encode_text(name) if isinstance(name, str) else None
    entity, status = row.get("invoicing_entity_id"), row.get("status")
    return _Customer(
        row["id"],
        text,
        row.get("deleted_at") is not None,
        entity if isinstance(entity, str) else None,
        status if isinstance(status, str) else "",
    )
