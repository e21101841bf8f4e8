"""An experiment with a customer that doesn't exist."""

from segment_to_hyperline.doctor.probe.experiment import Experiment
from segment_to_hyperline.doctor.probe.sandbox import Sandbox, Undecided
from segment_to_hyperline.doctor.probe.stored import Event, Row
from segment_to_hyperline.reconciliation.api.customers import CUSTOMER_PREFIX

_ANSWERS = {
    **dict.fromkeys((400, 413, 422), "400 or 422"),
    **dict.fromkeys((404, 409, 410), "404, 409 or 410"),
    403: "403",
}


def find_unknown_customer(sandbox: Sandbox) -> str:
    """Post an event of a customer that doesn't exist."""
    customer = f"{sandbox.event_type}-customer"
    event = sandbox.create_event(customer_id=customer)
    sandbox.note_customer(customer)
    response = sandbox.post(event)
    if not response.is_stored:
        sandbox.dismiss(customer)
        sandbox.rejects_unknown_customers()
    if not response.is_accepted:
        if sandbox.customer:
            sandbox.check_customer()
        return _ANSWERS.get(response.status, "another 4xx")
    if response.count_failed():
        return "listed as failed"
    rows = _read(sandbox, event)
    shown = rows[0].get("customer_id") if rows else None
    is_created = isinstance(shown, str) and shown.startswith(CUSTOMER_PREFIX)
    exists = sandbox.has_customer(customer)
    if is_created or exists:
        sandbox.confirm_customer(customer)
    elif exists is False or (rows and shown is None):
        sandbox.dismiss(customer)
    if not rows:
        return "not stored"
    if is_created:
        return "a customer is created"
    if shown is not None:
        raise Undecided("the event is read with another id than Hyperline's")
    return "stored without a customer"


def _read(sandbox: Sandbox, event: Event) -> list[Row]:
    """Return the rows of *event*; without any, it must be certain that it isn't stored.

    This needs an event of another customer, which is stored.
    """
    if sandbox.customer:
        return sandbox.read_settled(event)
    rows, _ = sandbox.wait_for(event)
    if not rows:
        raise Undecided("the event can't be read within a minute; set --customer")
    return rows


UNKNOWN_CUSTOMER = Experiment(
    "unknown customer",
    3,
    find_unknown_customer,
    needs_customer=False,
    note=", and a customer that Hyperline creates for one stays",
)
