"""The Hyperline that is read: its two APIs, and what results say about it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.reconciliation.api.client import Client, ignore_wait
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.pace import CORE_LIMIT, CORE_SHARE, Pace
from segment_to_hyperline.reconciliation.expected.workers import Loaded
from segment_to_hyperline.reconciliation.header import Header, MappingVersion
from segment_to_hyperline.reconciliation.reconcile import Reconciliation


class Target(NamedTuple):
    """The APIs of an environment."""

    endpoint: Endpoint
    events: Events
    """The billable events, in the ingestion API."""
    core: Client | None
    """The core API, which has the customers, if its host is known."""

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self.events.client.requests + (self.core.requests if self.core else 0)

    def describe(
        self,
        found: Reconciliation,
        mappings: Sequence[MappingVersion],
        loaded: Loaded,
        read_at: float,
    ) -> "Compared":
        """Return what was *found*, and where it is from.

        *read_at* is in seconds since 1970.
        """
        header = Header(
            self.endpoint.url,
            self.endpoint.environment,
            f"{datetime.fromtimestamp(read_at, UTC):%Y-%m-%dT%H:%M:%SZ}",
            found.start,
            found.end,
            tuple(mappings),
            *(loaded.files, loaded.events, loaded.sha256),
            found.customers_from,
        )
        return Compared(found, header, self)


class Compared(NamedTuple):
    """A completed comparison, and what can be done with it."""

    found: Reconciliation
    header: Header
    target: Target
    """What it was compared with."""


def open_target(
    endpoint: Endpoint,
    core_url: str | None,
    rate: float | None = None,
    report_wait: Callable[[str, float], None] = ignore_wait,
) -> Target:
    """Return the APIs at *endpoint* and *core_url*; raises `AccessError`.

    *rate* is the number of requests in a second; by default it is a share of the limit.
    """
    client = Client(*endpoint, Pace(rate), report_wait)
    pace = Pace(limit=CORE_LIMIT, share=CORE_SHARE)
    core = core_url and Client(core_url, endpoint.api_key, pace, report_wait)
    return Target(endpoint, Events(client), core or None)
