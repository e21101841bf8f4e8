"""Read the invoicing entities: in which time zone a month begins.

https://docs.hyperline.co/api-reference/endpoints/invoicing-entities/get-invoicing-entities
"""

from typing import NamedTuple

from segment_to_hyperline.reconciliation.api.client import Client, Endpoint
from segment_to_hyperline.reconciliation.api.core.lists import (
    Fields,
    read_list,
    read_text,
)
from segment_to_hyperline.reconciliation.planning import GRACE_DAYS

_READ = Endpoint("GET", "/v1/invoicing-entities", "read invoicing entities")


class Entity(NamedTuple):
    """An invoicing entity: a company that sends invoices."""

    id: str
    name: str
    time_zone: str
    """The IANA name of its time zone."""
    grace_days: int
    """For how many days after a period its invoices can change."""
    is_default: bool
    """Whether customers without an entity are invoiced by it."""
    has_grace: bool = True
    """Whether Hyperline shows the grace period; otherwise it is the default one."""


def read_entities(client: Client) -> list[Entity]:
    """Return the invoicing entities; raises as `Client.get`."""
    return list(map(_read_entity, read_list(client, _READ)))


def _read_entity(row: Fields) -> Entity:
    grace = row.get("invoice_grace_period_duration")
    return Entity(
        row["id"],
        read_text(row.get("name")),
        read_text(row.get("timezone")),
        grace if type(grace) is int else GRACE_DAYS,
        row.get("is_default") is True,
        type(grace) is int,
    )
