"""Decide what a backfill posts and deletes, from the differences that were found."""

from collections.abc import Collection, Container, Mapping, Sequence
from math import inf
from typing import NamedTuple

from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.events import Events, can_find
from segment_to_hyperline.reconciliation.api.lookup import group, look_up_types
from segment_to_hyperline.reconciliation.api.rows import Row
from segment_to_hyperline.reconciliation.evaluation import evaluate
from segment_to_hyperline.reconciliation.expected.versions import Expected
from segment_to_hyperline.reconciliation.findings import (
    COPIED,
    DIFFERENT,
    MISSING,
    SUPERSEDED,
    UNCHECKED,
    UNEXPECTED,
    UNMAPPED,
    Finding,
)
from segment_to_hyperline.reconciliation.plan import (
    DELETE,
    OVERWRITE,
    POST,
    REPEAT,
    REPLACE,
    RESTORE,
    Item,
    LeftOut,
    describe_rows,
)
from segment_to_hyperline.reconciliation.reconcile import Reconciliation

# Hyperline keeps an invoice open for so long after its period, by default.
# https://docs.hyperline.co/docs/invoices/term
GRACE_DAYS = 3
_DAY = 24 * 60 * 60 * 1_000
# Rows whose id comes from a messageId in the input. Others can be another writer's.
_OWN = {SUPERSEDED, UNMAPPED, COPIED}
_OLD = f"older than {GRACE_DAYS} days, its invoice may be closed; see --old"
_WOULD_OVERWRITE = "would overwrite an event that differs; see --different"
_OTHER_ROW = "another event has the same id, and would be deleted too"
_NO_SUCH_ID = "in --delete-ids, and the id of no unexpected event"
_NOT_FOUND = "Hyperline can't look up its id"

type Key = tuple[str, str]


class Wanted(NamedTuple):
    """Which differences are corrected."""

    different: bool = False
    """Whether events that differ are overwritten."""
    unexpected: bool = False
    """Whether what this application billed by mistake is deleted."""
    ids: Collection[str] = ()
    """The ids of unexpected rows that are deleted, also those of other writers."""
    old: bool = False
    """Whether events are included whose invoice may be closed."""

    def includes(self, finding: Finding) -> bool:
        """Return whether *finding* is to be corrected."""
        if finding.kind == UNEXPECTED:
            is_ours = self.unexpected and finding.origin in _OWN
            return is_ours or finding.record_id in self.ids
        kinds = {MISSING, UNCHECKED, *((DIFFERENT,) if self.different else ())}
        return finding.kind in kinds


class Planned(NamedTuple):
    """The items of a plan, and what it leaves out."""

    items: list[Item]
    left_out: list[LeftOut]


def plan_items(
    found: Reconciliation, events: Events, wanted: Wanted, now: int, *, queue: bool
) -> Planned:
    """Return what to post and delete at the time *now*, in milliseconds since 1970.

    With a *queue*, all billable events of an event are sent, and not only those that
    are missing. Hyperline is read once more. Raises as `Client.get`.
    """
    limit = find_limit(now, includes_old=wanted.old)
    planner = _Planner(found, events, wanted, limit)
    chosen: list[Finding] = []
    for finding in filter(wanted.includes, found.store.findings()):
        if finding.time < limit:
            planner.left_out.append(_leave_out(finding, _OLD))
        else:
            chosen.append(finding)
    unexpected = {f.record_id for f in chosen if f.kind == UNEXPECTED}
    left_out = {each.record_id for each in planner.left_out}
    for record_id in sorted(set(wanted.ids) - unexpected - left_out):
        planner.left_out.append(LeftOut("", record_id, _NO_SUCH_ID))
    planner.plan_deletions([f for f in chosen if f.kind == UNEXPECTED])
    planner.plan_posts([f for f in chosen if f.kind != UNEXPECTED], queue=queue)
    return Planned(planner.items, list(dict.fromkeys(planner.left_out)))


def find_limit(now: int, *, includes_old: bool) -> float:
    """Return before which time events are left out, because of their invoice."""
    return -inf if includes_old else now - GRACE_DAYS * _DAY


class _Planner:
    """Looks up what Hyperline has now, and plans for it."""

    def __init__(
        self, found: Reconciliation, events: Events, wanted: Wanted, limit: float
    ) -> None:
        self.items: list[Item] = []
        self.left_out: list[LeftOut] = []
        self._found = found
        self._events = events
        self._wanted = wanted
        # What is before it, is old.
        self._limit = limit

    def plan_deletions(self, findings: Sequence[Finding]) -> None:
        """Plan to delete rows, and to post again what is right under the same ids."""
        chosen = {(each.event_type, each.record_id): each for each in findings}
        # A deletion removes an id of every type.
        ids = {each.record_id: each.time for each in findings}
        times = dict.fromkeys(self._found.event_types, ids)
        rows = look_up_types(self._events, times)
        for record_id, of_id in group(chosen.values(), lambda f: f.record_id).items():
            items, reason = self._plan_deletion(record_id, rows, chosen)
            if reason:
                self.left_out += [_leave_out(each, reason) for each in of_id]
            else:
                self.items += items

    def _plan_deletion(
        self, record_id: str, rows: Mapping[Key, Sequence[Row]], chosen: Container[Key]
    ) -> tuple[list[Item], str]:
        """Return the items for all rows with this id, or why it can't be deleted."""
        if not can_find(record_id):
            return [], _NOT_FOUND
        items: list[Item] = []
        for event_type in self._found.event_types:
            key = event_type, record_id
            same, event = rows.get(key, ()), self._found.store.find(*key)
            if event is None and same and key not in chosen:
                return [], _OTHER_ROW
            if same and self._is_old(event, same):
                return [], _OLD
            if event and same and self._would_overwrite(event, same):
                return [], _WOULD_OVERWRITE
            if event and same:
                action = REPLACE if key in chosen else RESTORE
                items.append(_create_item(action, event, same))
            elif same:
                items.append(_create_deletion(same, self._found.customers))
        return items, ""

    def plan_posts(self, findings: Sequence[Finding], *, queue: bool) -> None:
        """Plan to post events, with the others that a *queue* sends for the same."""
        keys = [(finding.event_type, finding.record_id) for finding in findings]
        found = {key: self._found.store.find(*key) for key in keys}
        chosen = {key: event for key, event in found.items() if event}
        groups = [[event] for event in chosen.values()]
        if queue:
            names = dict.fromkeys(event.message_id for event in chosen.values())
            groups = [self._found.store.siblings(name) for name in names]
        every = (event for events in groups for event in events)
        times = {
            event_type: {event.record_id: event.time for event in same}
            for event_type, same in group(every, lambda e: e.event_type).items()
        }
        rows = look_up_types(self._events, times)
        for events in groups:
            items = [self._plan_post(event, rows, chosen) for event in events]
            reasons = [each for each in items if isinstance(each, LeftOut)]
            self.left_out += reasons
            if not reasons:
                self.items += [each for each in items if isinstance(each, Item)]

    def _plan_post(
        self,
        event: Expected,
        rows: Mapping[Key, Sequence[Row]],
        chosen: Container[Key],
    ) -> Item | LeftOut:
        key = event.event_type, event.record_id
        same = rows.get(key, ())
        if not same and not can_find(event.record_id):
            return LeftOut(*key, _NOT_FOUND)
        if same and not self._differs(event, same):
            return _create_item(REPEAT, event, same)
        if self._is_old(event, same):
            return LeftOut(*key, _OLD)
        if not same:
            return _create_item(POST, event, same)
        if key in chosen or self._wanted.different:
            return _create_item(OVERWRITE, event, same)
        return LeftOut(*key, _WOULD_OVERWRITE)

    def _is_old(self, event: Expected | None, rows: Sequence[Row]) -> bool:
        """Return whether *event*, or a row of it, can be in a closed invoice.

        Both count: an event that is moved would be billed in two invoices.
        """
        times = [row.time or 0 for row in rows] + ([event.time] if event else [])
        return min(times) < self._limit

    def _would_overwrite(self, event: Expected, rows: Sequence[Row]) -> bool:
        """Return whether posting *event* overwrites what wasn't meant to be."""
        return not self._wanted.different and self._differs(event, rows)

    def _differs(self, event: Expected, rows: Sequence[Row]) -> bool:
        return differs(event, rows, self._found.customers)


def differs(event: Expected, rows: Sequence[Row], customers: Customers) -> bool:
    """Return whether none of the *rows* with the id of *event* is as expected."""
    findings = evaluate(event, rows, customers, "")
    return any(each.kind in {MISSING, DIFFERENT} for each in findings)


def _create_item(action: str, event: Expected, rows: Sequence[Row]) -> Item:
    return Item(
        action,
        event.event_type,
        event.record_id,
        event.time,
        event.customer,
        event.message_id,
        event.body.decode(),
        describe_rows(rows),
    )


def _create_deletion(rows: Sequence[Row], customers: Customers) -> Item:
    row = rows[0]
    return Item(
        DELETE,
        row.event_type,
        row.record_id,
        row.time or 0,
        customers.find_name(row.customer or ""),
        "",
        "",
        describe_rows(rows),
    )


def _leave_out(finding: Finding, reason: str) -> LeftOut:
    return LeftOut(finding.event_type, finding.record_id, reason)
