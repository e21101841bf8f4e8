"""The sandbox: post events of our own, read them back, and delete them."""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count
from math import inf
from typing import Any

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.doctor.probe.cleanup import Cleanup
from segment_to_hyperline.doctor.probe.poster import Poster, Response
from segment_to_hyperline.doctor.probe.stored import Event, Row, StoredEvents
from segment_to_hyperline.errors import Error
from segment_to_hyperline.hyperline.facts import (
    HOSTS,
    POST_PATHS,
    SANDBOX_KEY_PREFIX,
)
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.reconciliation.api.client import Client, Patience
from segment_to_hyperline.reconciliation.api.customers import (
    CUSTOMER_PREFIX,
    find_customers,
)
from segment_to_hyperline.reconciliation.api.pace import Pace
from segment_to_hyperline.segment.times import format_time

PREFIX = "doctor-probe-"
_REQUESTS_PER_SECOND = 4
_PATIENCE = Patience(success=30)
# The pauses between two attempts to read an event: a minute together.
_PAUSES = (0, *(1,) * 5, *(5,) * 11)


class Undecided(Error):
    """Raised if an experiment can't find the answer; the message says why."""


class Sandbox:
    """Hyperline's sandbox, with events that only the probe uses.

    *customer* is the id of a customer that exists, and *limited_key* is a key without
    the scope to write billable events. Raises `InputError` before anything is sent if a
    key isn't one of the sandbox.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        core_url: str | None = None,
        customer: str | None = None,
        limited_key: str | None = None,
    ) -> None:
        _require_sandbox(endpoint, limited_key)
        key, pace = endpoint.api_key, Pace(rate=_REQUESTS_PER_SECOND)
        create = partial(Client, key=key, pace=pace, patience=_PATIENCE)
        self.customer = customer
        # What is left in the sandbox, for people.
        self.stays: list[str] = []
        # What may be left, by a name, until it is known that it isn't.
        self._possible: dict[str, str] = {}
        self._creates_customers = True
        self._core = create(core_url) if core_url else None
        self.poster = Poster(endpoint.url, key, pace, is_limited=False)
        self.limited: Poster | None = None
        if limited_key:
            self.limited = Poster(endpoint.url, limited_key, pace, is_limited=True)
        # The version of the paths that events are posted to.
        self.version = "v1"
        self.event_type = f"{PREFIX}{uuid.uuid4()}"
        self.other_type = f"{self.event_type}-other"
        self._stored = StoredEvents(create(endpoint.url))
        self.large_type = f"{self.event_type}-large"
        types = (self.event_type, self.other_type, self.large_type)
        self._cleanup = Cleanup(self._stored, types)
        self._numbers = count()
        self._is_slow = False
        # The longest time after which an event could be read.
        self._delay = 0.0
        self._time = time.time()
        self._checks: dict[str, str] = {}

    def check(self) -> None:
        """Raise `AccessError` unless events can be read and deleted."""
        if "key" not in self._checks:
            self._stored.count(self.event_type)
            self._stored.delete([self.event_type])
            self._checks["key"] = ""

    def check_customer(self) -> None:
        """Raise `Undecided` unless an event of the customer is accepted."""
        if "customer" not in self._checks:
            self._checks["customer"] = self._find_problem()
        if problem := self._checks["customer"]:
            raise Undecided(problem)

    def _find_problem(self) -> str:
        """Return what is wrong with the customer, or nothing."""
        customer = self.customer or ""
        exists = self.has_customer(customer)
        # An event of an unknown one could create it.
        if exists is False:
            return "the sandbox has no customer with the id of --customer"
        if exists is None:
            self.note_customer(customer)
        response = self.post(self.create_event())
        if response.is_stored:
            return ""
        self.dismiss(customer)
        return f"an ordinary event is rejected ({response.status})"

    def has_customer(self, name: str) -> bool | None:
        """Return whether a customer exists; None if that can't be read."""
        if self._core is None or name.startswith(CUSTOMER_PREFIX):
            return None
        try:
            return name in find_customers(self._core, [name]).ids
        except Error:
            return None

    def note(self, name: str, text: str) -> None:
        """Note before a post what it may leave, for people, under a *name*."""
        self._possible[name] = text

    def note_customer(self, customer: str) -> None:
        """Note that Hyperline may create a customer for an event."""
        if self._creates_customers:
            self.note(
                customer,
                f"perhaps the customer {customer}, if Hyperline created it for an"
                " event: look for it in Hyperline, and archive it",
            )

    def rejects_unknown_customers(self) -> None:
        """Note that Hyperline creates none, so a customer with events existed."""
        self._creates_customers = False
        self.dismiss(self.customer or "")

    def confirm_customer(self, customer: str) -> None:
        """Note that Hyperline has created a customer."""
        self.note(
            customer,
            f"the customer {customer}, which Hyperline created automatically: archive"
            " it in Hyperline",
        )

    def dismiss(self, name: str) -> None:
        """Forget what was noted, because it isn't left."""
        self._possible.pop(name, None)

    def create_event(self, record: Mapping[str, Any] = {}, **changes: Any) -> Event:
        """Return an event with an id of its own, which `finish` deletes."""
        record_id = f"{self.event_type}-{next(self._numbers)}"
        self._cleanup.add(record_id)
        return {
            "customer_id": self.customer,
            "event_type": self.event_type,
            "timestamp": self.format_time(),
            "record": {**record, "id": record_id},
            **changes,
        }

    def format_time(self, seconds_earlier: float = 0) -> str:
        """Return a time before now, with milliseconds."""
        return format_time(datetime.fromtimestamp(self._time - seconds_earlier, UTC))

    def post(self, event: Event) -> Response:
        """Post an event alone."""
        return self.poster.post(POST_PATHS[self.version][0], encode(event))

    def post_batch(self, events: Sequence[Event]) -> Response:
        """Post several events in one request."""
        return self.poster.post(POST_PATHS[self.version][1], encode(events))

    def read(self, *events: Event, take: int = 100, skip: int = 0) -> list[Row]:
        """Return the rows of *events*, by time."""
        return self._stored.read(events, take, skip)

    def wait_for(self, event: Event) -> tuple[list[Row], float]:
        """Return the rows of *event*, and after how many seconds there are some.

        After a minute without any, it is infinite; then nothing is waited for again.
        """
        waited = 0.0
        for seconds in _PAUSES[:1] if self._is_slow else _PAUSES:
            time.sleep(seconds)
            waited += seconds
            if rows := self.read(event):
                self._delay = max(self._delay, waited)
                shown, customer = rows[0].get("customer_id"), self.customer or ""
                # A customer that was created would have another id of Hyperline's.
                if shown == customer and customer.startswith(CUSTOMER_PREFIX):
                    self.dismiss(customer)
                return rows, waited
        self._is_slow = True
        return [], inf

    def measure_delay(self) -> float:
        """Return after how many seconds a new event can be read."""
        event = self.create_event()
        self.post(event)
        return self.wait_for(event)[1]

    def read_settled(self, *events: Event) -> list[Row]:
        """Return the rows of *events* once an event that is posted now can be read.

        They have the same type.
        """
        self._settle()
        return self.read(*events)

    def count_settled(self, event_type: str) -> int:
        """Return the number of events of a type once a new event can be read."""
        self._settle()
        return self._stored.count(event_type)

    def _settle(self) -> None:
        if self.measure_delay() == inf:
            raise Undecided("stored events can't be read within a minute")

    def clean(self) -> None:
        """Delete the events that were created since the last time."""
        self._cleanup.delete_new()

    def finish(self) -> None:
        """Delete all events, and note what stays."""
        self.stays += self._possible.values()
        try:
            self.stays += self._cleanup.finish(self._delay, is_slow=self._is_slow)
        except (Error, KeyboardInterrupt) as error:
            self.stays.append(
                f"perhaps events whose type begins with {self.event_type}: it can't be"
                f" confirmed that they are deleted: {str(error) or 'interrupted'}"
            )
            if isinstance(error, KeyboardInterrupt):
                raise


def encode(content: Any) -> bytes:
    """Return *content* as JSON."""
    return json.dumps(content, separators=(",", ":")).encode()


def _require_sandbox(endpoint: Endpoint, limited_key: str | None) -> None:
    is_sandbox = endpoint.is_sandbox and endpoint.url != HOSTS["prod_"]
    if not is_sandbox:
        raise InputError(
            "the probe writes events, so it needs a key of the sandbox, which begins"
            f" with {SANDBOX_KEY_PREFIX}"
        )
    if limited_key and not limited_key.startswith(SANDBOX_KEY_PREFIX):
        raise InputError(
            f"--limited-key must be a key of the sandbox, too: {SANDBOX_KEY_PREFIX}…"
        )
