"""The option --send of the command `doctor`: send one event, and follow it."""

import json
import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple

import click

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.doctor.findings import Result
from segment_to_hyperline.doctor.send.answers import (
    Expectation,
    explain_preview,
    explain_response,
    find_warnings,
)
from segment_to_hyperline.doctor.send.creation import Identity
from segment_to_hyperline.doctor.send.customers import FindCustomers, list_created
from segment_to_hyperline.doctor.send.log import PAUSES as LOG_PAUSES
from segment_to_hyperline.doctor.send.log import Log
from segment_to_hyperline.doctor.send.preparation import (
    Prepared,
    Unprepared,
    describe_billed,
    prepare_created,
    prepare_received,
)
from segment_to_hyperline.doctor.send.replies import (
    find_deployed,
    is_delivered,
    may_be_logged,
    may_be_stored,
)
from segment_to_hyperline.doctor.send.steps import Step
from segment_to_hyperline.doctor.send.stored import PAUSES as READ_PAUSES
from segment_to_hyperline.doctor.send.stored import Stored, describe_ids
from segment_to_hyperline.hyperline.facts import SANDBOX
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.reconciliation.api.failures import AccessError
from segment_to_hyperline.secret import Secret, SecretError
from segment_to_hyperline.segment.facts import TEST_MESSAGE_ID_PREFIXES
from segment_to_hyperline.segment.times import format_time
from segment_to_hyperline.sending.posting import post
from segment_to_hyperline.sending.responses import NoResponse, Response
from segment_to_hyperline.sending.webhook import (
    SECRET_HEADERS,
    Signer,
    Webhook,
    write,
)
from segment_to_hyperline.text import cut, make_printable

_MOST_BILLABLE = 5
_MOST_CHARACTERS = 500
# Whom a test event is for, which is never billed.
_NOBODY = "doctor"
_NOT_BILLED = "It is previewed as a test event, and never billed."
_BILLED = (
    "It is billed in Hyperline's sandbox, and a customer that Hyperline creates for it"
    " stays."
)
_NOT_SELECTED = "The mapping of this command doesn't bill it."
_CREATED_NEEDS_CUSTOMER = Unprepared(
    "an event for the sandbox needs a customer who exists there",
    "pass --customer, or a file with one of your events as EVENTS",
)


class Installed(NamedTuple):
    """A deployed stack, as far as it is needed to send it an event."""

    webhook_url: str
    """Its output WebhookUrl."""
    receiver_log: str
    """The name of the Receiver's log group."""
    region: str | None
    """Its AWS region; None for that of the environment."""
    secret: Secret
    """Its current secret, with the host of Hyperline that it uses."""
    find_customers: FindCustomers

    @property
    def is_sandbox(self) -> bool:
        """Whether the API key is one of Hyperline's sandbox."""
        return self.secret.environment == SANDBOX


class _Report:
    """Prints the steps, and remembers whether all of them are ok."""

    def __init__(self) -> None:
        self.is_well = True

    def show(self, step: Step) -> None:
        self.is_well &= step.result is Result.OK
        click.echo(f"{step.result:<9}{step.name}: {step.evidence}")
        if step.remedy:
            click.echo(f"{'':<9}{step.remedy}")


def send_event(
    installed: Installed,
    rules: Rules,
    events: Iterable[dict[str, Any]],
    customer: str | None,
) -> bool:
    """Send one event to the stack, follow it, and return whether all is well.

    It is the first of *events* that *rules* bill; if there are none, it is created for
    the first rule. *customer* is billed instead of the event's own. With the key of the
    sandbox, the event is read back from there, and deleted. Every step is printed, and
    every write is asked for before.
    """
    report = _Report()
    prepared = prepare(installed, rules, events, customer)
    if isinstance(prepared, Unprepared):
        report.show(Step(Result.WRONG, "event", prepared.reason, prepared.remedy))
        return False
    try:
        secrets, tokens, _warnings = installed.secret.credentials
    except SecretError as error:
        report.show(Step(Result.WRONG, "secret", str(error)))
        return False
    webhook = Signer.create(secrets, tokens).single(write(prepared.event))
    click.echo("\n".join(_describe(installed.webhook_url, webhook, prepared)))
    if not _confirm(f"Send it? {_describe_effect(installed, prepared)}"):
        report.show(Step(Result.UNKNOWN, "request", "nothing was sent"))
        return False
    expected = Expectation(
        not installed.is_sandbox, bool(prepared.billable), describe_billed(rules)
    )
    try:
        follow(installed, prepared, webhook, expected, report)
    except BaseException:  # Ctrl-C, or a bug
        _show_stay(prepared)
        for name in _list_customers(prepared) if installed.is_sandbox else ():
            _show_customer(f"perhaps the customer {name}, if Hyperline created it")
        raise
    return report.is_well


def _describe_effect(installed: Installed, prepared: Prepared) -> str:
    if not installed.is_sandbox:
        return _NOT_BILLED
    return _BILLED if prepared.billable else _NOT_SELECTED


def prepare(
    installed: Installed,
    rules: Rules,
    events: Iterable[dict[str, Any]],
    customer: str | None,
) -> Prepared | Unprepared:
    """Return the event to send."""
    # The Receiver may still use another key than doctor, and bills such an event with
    # none but a sandbox key.
    message_id = f"{TEST_MESSAGE_ID_PREFIXES[0]}doctor-{uuid.uuid4()}"
    now = format_time(datetime.fromtimestamp(time.time(), UTC))
    identity = Identity(message_id, now, customer)
    try:
        remaining = iter(events)
        if (first := next(remaining, None)) is not None:
            return prepare_received(rules, chain([first], remaining), identity)
    except InputError as error:
        return Unprepared("EVENTS can't be read", str(error))
    if customer is None and installed.is_sandbox:
        return _CREATED_NEEDS_CUSTOMER
    return prepare_created(rules, identity._replace(customer=customer or _NOBODY))


def follow(
    installed: Installed,
    prepared: Prepared,
    webhook: Webhook,
    expected: Expectation,
    report: _Report,
) -> None:
    """Send the event, and find it in the log and in the sandbox; delete it there."""
    sent_at = time.time()
    response = post(installed.webhook_url, webhook)
    preview = explain_preview(response, prepared.billable)
    steps = (explain_response(response, expected), preview, *find_warnings(response))
    for step in filter(None, steps):
        report.show(step)
    if may_be_logged(response):
        log = Log(installed.receiver_log, installed.region, time.sleep)
        report.show(log.follow(prepared.event["messageId"], sent_at, LOG_PAUSES))
    if installed.is_sandbox and may_be_stored(response):
        _read_back(installed, prepared, response, report)
    elif is_delivered(response):
        _show_stay(prepared)


def _read_back(
    installed: Installed,
    prepared: Prepared,
    response: Response | NoResponse,
    report: _Report,
) -> None:
    try:
        stored = Stored(
            installed.secret.endpoint,
            prepared.event["messageId"],
            prepared.billable,
            time.sleep,
            find_deployed(response),
        )
    except (SecretError, AccessError) as error:
        report.show(Step(Result.WRONG, "read back", str(error)))
        _show_stay(prepared)
        return
    found = stored.read(READ_PAUSES, is_delivered=is_delivered(response))
    report.show(found.step)
    if found.is_stored:
        _delete(prepared, stored, report)
        deployed = find_deployed(response) or {}
        names = {*_list_customers(prepared), *deployed.values()}
        find = installed.find_customers
        for text in list_created(sorted(names), stored.customers, find):
            _show_customer(text)


def _delete(prepared: Prepared, stored: Stored, report: _Report) -> None:
    ids = describe_ids(prepared.event["messageId"])
    if not _confirm(f"Delete what was billed in the sandbox ({ids})?"):
        _show_stay(prepared)
        return
    step = stored.delete(READ_PAUSES)
    report.show(step)
    if step.result is not Result.OK:
        _show_stay(prepared)


def _confirm(question: str) -> bool:
    """Return whether the answer is yes; without a terminal it is no."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        return False


def _show_stay(prepared: Prepared) -> None:
    ids = describe_ids(prepared.event["messageId"])
    click.echo(
        "stays: perhaps the event, in Hyperline's sandbox with any event type, or in a"
        f" queue of the stack: {ids}",
        err=True,
    )


def _list_customers(prepared: Prepared) -> list[str]:
    return sorted({each.fields()["customer_id"] for each in prepared.billable})


def _show_customer(text: str) -> None:
    click.echo(f"stays: {_show(text)}: archive it in Hyperline", err=True)


def _describe(url: str, webhook: Webhook, prepared: Prepared) -> Iterator[str]:
    """Yield what is sent, without credentials and other fields of the event."""
    yield prepared.origin
    yield f"POST {url}"
    for name, value in webhook.headers.items():
        yield f"{name}: {'(hidden)' if name in SECRET_HEADERS else value}"
    yield f"{len(webhook.body.encode()):,} bytes, the event:"
    for name in ("messageId", "type", "event"):
        if name in prepared.event:
            yield f"  {name}: {_show(prepared.event[name])}"
    for customer in _list_customers(prepared):
        yield f"  customer: {_show(customer)}"
    if prepared.problem:
        yield f"the mapping doesn't bill it: {_show(prepared.problem)}"
    for billable in prepared.billable[:_MOST_BILLABLE]:
        yield f"the mapping bills: {_show(billable.json.decode())}"
    if (more := len(prepared.billable) - _MOST_BILLABLE) > 0:
        yield f"and {more:,} more"


def _show(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return cut(make_printable(text), _MOST_CHARACTERS)
