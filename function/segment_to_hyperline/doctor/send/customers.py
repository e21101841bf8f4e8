"""Find the customers that Hyperline may have created for the event.

It isn't documented what happens to an event of a customer who doesn't exist.
"""

from collections.abc import Callable, Collection, Iterable, Iterator

from segment_to_hyperline.doctor.findings import Unread
from segment_to_hyperline.reconciliation.api.customers import (
    CUSTOMER_PREFIX,
    Customers,
)

_CREATED = "automatically_created"

type FindCustomers = Callable[[Iterable[str]], Customers]
"""Returns these customers, and maybe others; raises `Unread`."""


def list_created(
    names: Collection[str], shown: Collection[str | None], find: FindCustomers
) -> Iterator[str]:
    """Yield those of *names* that may have been created, for people.

    *shown* has Hyperline's ids of the customers who have the stored events.
    """
    # A customer that was created would have another id of Hyperline's.
    doubtful = [
        name
        for name in names
        if not (name.startswith(CUSTOMER_PREFIX) and name in shown)
    ]
    try:
        found = find(doubtful) if doubtful else Customers({})
    except Unread:
        found = Customers({})
    for name in doubtful:
        status = found.statuses.get(found.ids.get(name, ""), "")
        if status == _CREATED:
            yield f"the customer {name}, which Hyperline created automatically"
        elif not status:
            yield f"perhaps the customer {name}, if Hyperline created it for the event"
