"""Compare the loaded events of a day with Hyperline."""

from segment_to_hyperline.daily_check.day import Day
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.progress import Report
from segment_to_hyperline.reconciliation.reconcile import (
    LOOKED_UP,
    Reconciliation,
    Scope,
    reconcile,
)
from segment_to_hyperline.reconciliation.target import Target


def compare_day(
    store: Store, target: Target, day: Day, report: Report
) -> Reconciliation:
    """Return what differs in the contents of all events of *day*.

    The event types are those of all loaded events, also of other days: without events
    of a type, Hyperline can still have some. If there are no types, nothing can be
    compared. Raises as `reconcile`.
    """
    types = tuple(store.event_types())
    if not types:
        nothing = Customers({}), LOOKED_UP, (), True
        return Reconciliation(day.start, day.end, types, store, *nothing)
    scope = Scope(day.start, day.end, deep=True, event_types=types)
    return reconcile(store, target.events, target.core, scope, report)
