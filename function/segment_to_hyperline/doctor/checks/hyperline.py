"""Check whether Hyperline can be used with the API key."""

from collections.abc import Iterator

from segment_to_hyperline.doctor.findings import (
    Finding,
    accept,
    doubt,
    reject,
    warn,
)
from segment_to_hyperline.doctor.installation import Installation
from segment_to_hyperline.hyperline.facts import EVENT_PATH
from segment_to_hyperline.reconciliation.planning import GRACE_DAYS
from segment_to_hyperline.text import format_count

# AWS rejects signatures that are older. The other limit is for what a request takes.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
_MAX_DIFFERENCE = 5 * 60
_NOTABLE_DIFFERENCE = 30


def check_ingestion(found: Installation) -> Iterator[Finding]:
    """Whether the ingestion API accepts the key, on the path that this version uses."""
    found.hyperline.ingestion.get()
    url = found.hyperline.access.get().endpoint.url
    yield accept(f"the key may read billable events at {url}{EVENT_PATH}")
    version = found.aws.stack.get().parameters.get("IngestionVersion", "v1")
    yield doubt(
        f"whether it may post them, to the paths of {version}, is only known then",
        "use `doctor --send`",
    )


def check_core(found: Installation) -> Iterator[Finding]:
    """Whether the core API accepts the key."""
    found.hyperline.core.get()
    yield accept("the key is accepted")


def check_aggregators(found: Installation) -> Iterator[Finding]:
    """Whether the key may read aggregators."""
    number = len(found.hyperline.aggregators.get())
    yield accept(format_count(number, "aggregator"))


def check_products(found: Installation) -> Iterator[Finding]:
    """Whether the key may read products."""
    yield accept(format_count(len(found.hyperline.products.get()), "product"))


def check_subscriptions(found: Installation) -> Iterator[Finding]:
    """Whether the key may read subscriptions, and any is active."""
    subscriptions = found.hyperline.subscriptions.get()
    active = sum(each.is_active is True for each in subscriptions)
    shown = f"{format_count(len(subscriptions), 'subscription')}, {active:,} active"
    if active:
        yield accept(shown)
    else:
        yield warn(shown, "nothing is invoiced without an active subscription")


def check_clock(found: Installation) -> Iterator[Finding]:
    """Whether the clock of this machine is right."""
    difference = found.hyperline.clock_difference.get()
    if difference is None:
        yield doubt("Hyperline's responses have no date", "compare the clock yourself")
        return
    side = "ahead of" if difference > 0 else "behind"
    shown = f"this machine is {abs(difference):,.0f} s {side} Hyperline"
    if abs(difference) > _MAX_DIFFERENCE:
        yield reject(shown, "set the clock of this machine; AWS rejects its requests")
    elif abs(difference) > _NOTABLE_DIFFERENCE:
        yield warn(shown, "set the clock of this machine")
    else:
        yield accept(shown)


def check_entities(found: Installation) -> Iterator[Finding]:
    """How long late events are invoiced, and in which time zone a day begins."""
    entities = found.hyperline.entities.get()
    if not entities:
        yield reject("there is no invoicing entity", "create one in Hyperline")
    for entity in entities:
        shown = (
            f"{entity.name}: {entity.grace_days} days after a period, its invoice is"
            f" issued; time zone {entity.time_zone or 'unknown'}"
        )
        if not entity.has_grace:
            yield doubt(
                f"{entity.name}: Hyperline doesn't show its grace period",
                "see when its invoices are issued in Hyperline's settings",
            )
        elif entity.grace_days < GRACE_DAYS:
            yield warn(
                shown,
                f"the deadlines of the alarms are for {GRACE_DAYS} days: act earlier",
            )
        else:
            yield accept(shown)
