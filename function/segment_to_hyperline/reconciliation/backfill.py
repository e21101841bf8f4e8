"""Bill the events that a reconciliation found missing.

They are stored in the queue Replay, like parked events, so that the deployed
application delivers them; or they are posted directly, with a sandbox key. Both can be
repeated, because the events keep their ids.
"""

from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from segment_to_hyperline.archive.captured import CapturedEvent
from segment_to_hyperline.archive.files import (
    InputError,
    ReadFiles,
    find_files,
    read_files,
)
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.hyperline import client
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.hyperline.plan import Outgoing
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.mapping.file import load_rules
from segment_to_hyperline.preview.verdict import judge
from segment_to_hyperline.reconciliation.compare import (
    DIFFERENT,
    MISSING,
    EncodedKey,
    encode_key,
)
from segment_to_hyperline.reconciliation.loading import is_event_sent
from segment_to_hyperline.reconciliation.reader import format_milliseconds
from segment_to_hyperline.reconciliation.store import Finding, Store
from segment_to_hyperline.text import format_count

# Hyperline keeps an invoice open for so long after its period, by default.
# https://docs.hyperline.co/docs/invoices/term
GRACE_DAYS = 3
_BATCH = 500
_SECONDS = 60

# The type, the name and the messageId of an event.
type Identity = tuple[str, str, str]


class BackfillPlan(NamedTuple):
    """What a backfill will do."""

    billed: list[Finding]
    """The events to bill."""
    old: list[Finding]
    """The events that are left out because they are old."""

    def lines(self) -> Iterator[str]:
        """Yield the plan for people."""
        for finding in self.billed:
            yield f"bill      {_format_finding(finding)}"
        for finding in self.old:
            yield f"left out  {_format_finding(finding)}"
        if self.old:
            is_one = len(self.old) == 1
            yield (
                f"WARNING: {format_count(len(self.old), 'event')}"
                f" {'is' if is_one else 'are'} older than {GRACE_DAYS} days, so"
                f" {'its' if is_one else 'their'} invoice may be closed; --old bills"
                f" {'it' if is_one else 'them'} too"
            )
        yield f"{len(self.billed):,} to bill, {len(self.old):,} left out"


class Source(NamedTuple):
    """An event as Segment sent it."""

    text: str
    """Its JSON."""
    billable: tuple[BillableEvent, ...]
    """What the mapping makes of it."""

    def has(self, wanted: Container[EncodedKey]) -> bool:
        """Return whether any of its billable events is *wanted*."""
        return any(encode_key(event) in wanted for event in self.billable)


# Sends events; returns the problem of each billable event that was not accepted.
type Send = Callable[[Sequence[Source]], dict[EncodedKey, str]]


def create_plan(store: Store, now: int, *, different: bool, old: bool) -> BackfillPlan:
    """Return which of the findings in *store* are to be billed at the time *now*."""
    kinds = {MISSING, DIFFERENT} if different else {MISSING}
    limit = now - GRACE_DAYS * 24 * 60 * 60 * 1_000
    plan = BackfillPlan([], [])
    for finding in store.findings():
        if finding.kind in kinds:
            is_old = finding.time < limit and not old
            (plan.old if is_old else plan.billed).append(finding)
    return plan


def execute(  # noqa: PLR0913 - where the events are, and how they are read
    plan: BackfillPlan,
    names: Sequence[str],
    mapping: Path,
    send: Send,
    *,
    destination: str,
    read_files: ReadFiles = read_files,
) -> Iterator[tuple[Finding, str]]:
    """Send the events of *plan*; yield each with its problem, or an empty string.

    The files *names* are read again, because a reconciliation doesn't keep the events.
    """
    rules = load_rules(mapping)
    wanted = {(f.event_type, f.record_id): f for f in plan.billed}
    # Of an event that came several times, the last version counts, also if it does not
    # have what is missing: an earlier one would overwrite what was billed.
    sources: dict[Identity, Source] = {}
    for _, item in read_files(find_files(names)):
        if not is_event_sent(item, destination):
            continue
        if isinstance(item, CapturedEvent) and isinstance(item.event.data, dict):
            source = Source(item.event.text, judge(rules, item).billable)
            identity = find_identity(item.event.data)
            if identity in sources or source.has(wanted):
                sources[identity] = source
    problems = dict.fromkeys(wanted, "the last version of the event does not have it")
    pending = [source for source in sources.values() if source.has(wanted)]
    for start in range(0, len(pending), _BATCH):
        batch = pending[start : start + _BATCH]
        failed = send(batch)
        for source in batch:
            for event in source.billable:
                problems[encode_key(event)] = failed.get(encode_key(event), "")
    for key, finding in wanted.items():
        yield finding, problems[key]


def find_identity(event: dict[str, Any]) -> Identity:
    """Return what all versions of *event* have in common."""
    kind, name, message_id = map(event.get, ("type", "event", "messageId"))
    return str(kind), str(name), str(message_id)


def send_directly(endpoint: Endpoint) -> Send:
    """Return a function that posts events to Hyperline; only with a sandbox key."""
    url, key = endpoint
    if not endpoint.is_sandbox:
        raise InputError(
            "--direct needs a sandbox key (test_…); use --queue-url instead"
        )

    def send(sources: Sequence[Source]) -> dict[EncodedKey, str]:
        events = [event for source in sources for event in source.billable]
        delivery = client.post_events(Outgoing(events), url, key, Deadline(_SECONDS))
        return {
            encode_key(event): f"{failure.reason} {failure.detail}".strip()
            for event in events
            if (failure := delivery.failures[event.key])
        }

    return send


def _format_finding(finding: Finding) -> str:
    names = (finding.kind, finding.event_type, finding.record_id, finding.customer)
    return f"{format_milliseconds(finding.time)}  {'  '.join(names)}"
