"""`doctor --send`: one event is sent, followed, and deleted from the sandbox."""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click
import pytest
from click.testing import CliRunner

import receiver
from local_stack.fake_api import KEY, Ending, FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import SHARED_SECRET
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.cli.doctor_send import Installed, send_event
from segment_to_hyperline.doctor.findings import Unread
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.secret import Secret
from tests.clock import Clock
from tests.conftest import Queue
from tests.conftest import Secret as StoredSecret
from tests.fake_aws import FakeAws, Fault
from tests.samples import read_rules, track
from tests.segment_to_hyperline.reconciliation.planted import RULES
from tests.segment_to_hyperline.sending.gateway import FakeGateway

type Deploy = Callable[..., None]


@dataclass
class Result:
    """What a run printed, and whether all was well."""

    output: str
    is_well: bool
    states: list[str]
    """The state and the name of each step."""


class Doctor:
    """Runs `doctor --send` with a stack."""

    def __init__(self, gateway: FakeGateway, secret: StoredSecret) -> None:
        self.gateway = gateway
        self.secret = secret
        self.rules = RULES
        self.path = "/segment"
        self.log_group = gateway.log_group
        # What the core API says of each customer; None if it can't be read.
        self.status: str | None = "active"

    def run(
        self, *events: Any, answers: str = "yy", customer: str | None = None
    ) -> Result:
        """Answer the questions one after the other; without an answer, stdin ends."""
        host = self.secret.content.get("HYPERLINE_URL")
        installed = Installed(
            f"{self.gateway.url}{self.path}",
            self.log_group,
            "us-east-1",
            Secret(self.secret.content, 0, host),
            self.find_customers,
        )
        well: list[bool] = []

        @click.command()
        def command() -> None:
            well.append(send_event(installed, self.rules, read(events), customer))

        done = CliRunner().invoke(command, input="".join(f"{a}\n" for a in answers))
        assert done.exception is None, done.output
        names = ("ok ", "wrong ", "unknown ")
        lines = [line for line in done.output.split("\n") if line.startswith(names)]
        states = [line.partition(":")[0].replace("  ", " ") for line in lines]
        return Result(done.output, well[0], [" ".join(s.split()) for s in states])

    def find_customers(self, names: Iterable[str]) -> Customers:
        """Return customers with the status of all."""
        if self.status is None:
            raise Unread("no permission")
        ids = {name: f"cus_{name}" for name in names if self.status}
        statuses = dict.fromkeys(ids.values(), self.status)
        return Customers(ids, statuses=statuses)


def read(events: Any) -> Iterator[dict[str, Any]]:
    """Yield *events*; raise those that are exceptions."""
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield event


@pytest.fixture
def doctor(
    gateway: FakeGateway,
    secret: StoredSecret,
    hyperline: FakeHyperline,
) -> Doctor:
    """The command, with a stack that uses a key of the sandbox."""
    secret.content["HYPERLINE_URL"] = hyperline.url
    return Doctor(gateway, secret)


@pytest.fixture
def production(doctor: Doctor, live_key: str) -> Doctor:
    """The command, with a stack that uses a production key."""
    assert live_key
    return doctor


def lose_responses(gateway: FakeGateway) -> None:
    """Let a proxy respond instead of the Receiver, after it has processed an event."""
    handle = gateway.handle

    def lose(request: Any) -> FakeResponse:
        handle(request)
        return FakeResponse(502, b"<html>")

    gateway.handle = lose  # type: ignore[method-assign] # a proxy's response


def find_ids(gateway: FakeGateway) -> list[str]:
    """Return the messageIds that were sent."""
    return [json.loads(r.body)["messageId"] for r in gateway.requests]


def test_an_event_is_billed_in_the_sandbox_and_deleted(
    doctor: Doctor, hyperline: FakeHyperline
) -> None:
    """Each step is shown: the response, the line of the log, and what is stored."""
    result = doctor.run(customer="acme")

    assert result.is_well
    assert result.states == ["ok response", "ok log", "ok read back", "ok delete"]
    (sent,) = find_ids(doctor.gateway)
    assert uuid.UUID(sent.removeprefix("segment-test-message-doctor-"))
    (versions,) = hyperline.writes.values()
    (written,) = versions
    assert json.loads(written)["customer_id"] == "acme"
    assert json.loads(written)["record"]["id"] == sent
    assert hyperline.store == {}
    assert "stays:" not in result.output


def test_a_test_event_is_previewed_in_production(
    production: Doctor, hyperline: FakeHyperline
) -> None:
    """It is never posted, and nothing is read or deleted."""
    result = production.run(answers="y")

    assert result.is_well
    assert result.states == ["ok response", "ok preview", "ok log"]
    assert find_ids(production.gateway)[0].startswith("segment-test-message-doctor-")
    assert "It is previewed as a test event, and never billed." in result.output
    assert hyperline.requests == []
    assert hyperline.reads == []


def test_the_deployed_mapping_is_another_one_in_production(production: Doctor) -> None:
    """The response shows what it bills, so nothing has to be billed to find out."""
    production.rules = read_rules('record = {seats = "properties.seats"}')

    result = production.run(track(), answers="y")

    assert not result.is_well
    assert result.states == ["ok response", "wrong preview", "ok log"]


def test_an_event_of_the_owner(doctor: Doctor, hyperline: FakeHyperline) -> None:
    """The one that is billed, with a messageId of its own, for another customer."""
    doctor.rules = read_rules('event = "Seats Added"\nrecord = {"*" = "properties"}')

    result = doctor.run({"type": "page"}, track(), customer="acme")

    assert result.is_well, result.output
    (((_, record_id), (written,)),) = hyperline.writes.items()
    assert record_id.startswith("segment-test-message-doctor-")
    assert json.loads(written)["customer_id"] == "acme"
    assert json.loads(written)["record"]["seats"] == 3


@pytest.mark.parametrize("answers", ["n", ""])
def test_declining_sends_nothing(doctor: Doctor, answers: str) -> None:
    """Neither does an end of the input."""
    result = doctor.run(customer="acme", answers=answers)

    assert not result.is_well
    assert result.states == ["unknown request"]
    assert doctor.gateway.requests == []


@pytest.mark.parametrize("answers", ["yn", "y"])
def test_declining_deletes_nothing(
    doctor: Doctor, hyperline: FakeHyperline, answers: str
) -> None:
    """The answer says what stays in the sandbox."""
    result = doctor.run(customer="acme", answers=answers)

    assert result.is_well
    assert result.states == ["ok response", "ok log", "ok read back"]
    (sent,) = find_ids(doctor.gateway)
    assert f"record.id {sent}" in result.output.rpartition("stays:")[2]
    assert len(hyperline.store) == 1


def test_the_request_is_shown_without_secrets_and_without_other_fields(
    doctor: Doctor,
) -> None:
    """Events can have personal data; what is billed is shown."""
    token = "a-token-that-must-be-hidden"
    doctor.secret.put(segment_bearer_token=token)
    doctor.rules = read_rules('record = {seats = "properties.seats"}')

    result = doctor.run(track(context={"ip": "192.0.2.7"}), answers="y")

    (request,) = doctor.gateway.requests
    for secret in (token, SHARED_SECRET, KEY, request.headers["X-Signature"]):
        assert secret not in result.output
    assert "192.0.2.7" not in result.output
    assert "team" not in result.output
    for shown in (
        f"POST {doctor.gateway.url}/segment",
        "User-Agent: Segment (Actions)",
        "X-Signature: (hidden)",
        "Authorization: (hidden)",
        "type: track",
        "event: Seats Added",
        "customer: customer-42",
        '"seats":3',
    ):
        assert shown in result.output


def test_the_receiver_uses_a_production_key(
    doctor: Doctor, hyperline: FakeHyperline
) -> None:
    """After the key was changed; what this command has read proves nothing then."""
    handle = doctor.gateway.handle

    def change_key(request: Any) -> FakeResponse:
        doctor.secret.put(hyperline_api_key="prod_1")
        return handle(request)

    doctor.gateway.handle = change_key  # type: ignore[method-assign] # just before

    result = doctor.run(track(), answers="y")

    assert not result.is_well
    assert result.states == ["unknown response", "ok preview", "ok log"]
    assert hyperline.requests == []


def test_a_customer_who_does_not_exist(
    doctor: Doctor, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """The answer says what to pass, and nothing stays."""
    hyperline.unknown_customers.add("nobody")

    result = doctor.run(customer="nobody")

    assert not result.is_well
    assert result.states == ["wrong response", "ok log", "ok read back"]
    assert "pass --customer with the id of a customer who exists" in result.output
    assert "stays:" not in result.output
    assert quarantine.messages() == []


@pytest.mark.parametrize(
    ("status", "stays"),
    [
        (
            "automatically_created",
            "the customer nobody, which Hyperline created automatically: archive it",
        ),
        ("", "perhaps the customer nobody, if Hyperline created it for the event: "),
        (None, "perhaps the customer nobody, if Hyperline created it for the event: "),
    ],
)
def test_a_customer_who_is_created_stays(
    doctor: Doctor, hyperline: FakeHyperline, status: str | None, stays: str
) -> None:
    """It is named, also if the core API can't be read, or doesn't show it yet."""
    hyperline.behaviour["unknown customer"] = "a customer is created"
    hyperline.unknown_customers.add("nobody")
    doctor.status = status

    result = doctor.run(customer="nobody")

    assert "a customer that Hyperline creates for it stays" in result.output
    assert hyperline.store == {}
    assert result.output.partition("stays: ")[2].startswith(stays)


def test_a_customer_of_the_deployed_mapping_stays(
    doctor: Doctor, deployed: Deploy
) -> None:
    """It can be another one than that of this mapping."""
    deployed('customer_id = "context.groupId"\nrecord = {}')
    doctor.status = ""

    result = doctor.run(track())

    assert "perhaps the customer account-7, if" in result.output
    assert "perhaps the customer customer-42, if" in result.output


def test_a_customer_with_an_id_of_hyperline_exists(doctor: Doctor) -> None:
    """A customer that was created would have another one."""
    doctor.status = None

    result = doctor.run(customer="cus_1")

    assert result.is_well
    assert "stays:" not in result.output


def test_a_created_event_needs_a_customer(doctor: Doctor) -> None:
    """Without one, nothing is sent to the sandbox: nobody knows who exists there."""
    result = doctor.run()

    assert result.states == ["wrong event"]
    assert "pass --customer" in result.output
    assert doctor.gateway.requests == []


def test_a_filtered_event(doctor: Doctor) -> None:
    """The answer says which events the mapping bills."""
    result = doctor.run({"type": "page", "name": "Home"})

    assert not result.is_well
    assert result.states == ["wrong response", "ok log"]
    assert "the mapping doesn't bill it: filtered: no rule matches" in result.output
    assert "as EVENTS: track events (rule 1)" in result.output
    assert "It is billed" not in result.output


def test_the_deployed_mapping_is_another_one(
    doctor: Doctor, hyperline: FakeHyperline
) -> None:
    """What is stored differs from what the mapping of this command bills."""
    doctor.rules = read_rules('record = {seats = "properties.seats"}')

    result = doctor.run(track())

    assert not result.is_well
    assert result.states[2:] == ["wrong read back", "ok delete"]
    assert "something else than the mapping bills: record.plan" in result.output
    assert hyperline.store == {}


def test_several_billable_events(doctor: Doctor, hyperline: FakeHyperline) -> None:
    """Not all of them are shown. The deployed mapping, without each, bills another."""
    doctor.rules = read_rules(
        'each = "properties.items"\nrecord = {n = "item"}',
    )

    shown = doctor.run(track(properties={"items": list(range(5))}), answers="n")
    result = doctor.run(track(properties={"items": list(range(7))}))

    assert result.output.count("the mapping bills: ") == 5
    assert "more\n" not in shown.output
    assert "and 2 more" in result.output
    assert result.states == [
        "ok response",
        "ok log",
        "wrong read back",
        "ok delete",
    ]
    assert hyperline.store == {}


@pytest.fixture
def deployed(hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """Deploys another mapping."""
    assert hyperline

    def deploy(*tables: str) -> None:
        monkeypatch.setattr(receiver, "RULES", read_rules(*tables))

    return deploy


@pytest.mark.parametrize(
    "table",
    [
        'each = "properties.items"\nrecord = {n = "item"}',
        'each = "properties.items"\nevent_type = "item"\nrecord = {}',
        "event_type = \"'Other'\"\nrecord = {}",
    ],
)
@pytest.mark.parametrize("is_lost", [False, True])
def test_what_the_deployed_mapping_bills_under_other_keys_is_deleted(
    doctor: Doctor,
    hyperline: FakeHyperline,
    deployed: Deploy,
    table: str,
    *,
    is_lost: bool,
) -> None:
    """With other ids, other event types, or both; also if the response is lost."""
    deployed(table)
    if is_lost:
        lose_responses(doctor.gateway)

    result = doctor.run(track(properties={"items": ["A", "B"]}))

    assert hyperline.writes
    assert hyperline.store == {}
    if is_lost:
        assert result.states[2:] == ["unknown read back", "unknown delete"]
        assert "but without the event type it can't be checked" in result.output
        (sent,) = find_ids(doctor.gateway)
        stays = result.output.rpartition("stays:")[2]
        assert f"record.id {sent}, or that with a colon and a number" in stays
    else:
        assert result.states[2:] == ["wrong read back", "ok delete"]
        assert "with another id or event type" in result.output
        assert "stays:" not in result.output


def test_only_the_deployed_mapping_bills_an_event_without_a_response(
    doctor: Doctor, hyperline: FakeHyperline
) -> None:
    """It is deleted by its ids, although nobody knows what to look for."""
    doctor.rules = read_rules('event = "Other"\nrecord = {}')
    lose_responses(doctor.gateway)

    result = doctor.run(track())

    assert hyperline.writes
    assert hyperline.store == {}
    assert result.states[2:] == ["unknown read back", "unknown delete"]
    assert "stays: perhaps the event" in result.output


def test_what_was_billed_although_the_key_is_one_of_production_is_named(
    production: Doctor, hyperline: FakeHyperline
) -> None:
    """The Receiver can still have the key of the sandbox."""
    assert hyperline
    body = b'{"delivered":1,"errors":[]}'
    production.gateway.respond(FakeResponse(200, body))

    result = production.run(track(), answers="y")

    (sent,) = find_ids(production.gateway)
    assert f"record.id {sent}" in result.output.rpartition("stays:")[2]


def test_only_the_deployed_mapping_bills_the_event(
    doctor: Doctor, hyperline: FakeHyperline
) -> None:
    """What it billed is deleted nevertheless."""
    doctor.rules = read_rules('event = "Other"\nrecord = {}')

    result = doctor.run(track())

    assert result.states == [
        "wrong response",
        "ok log",
        "wrong read back",
        "ok delete",
    ]
    assert "deploy that one" in result.output
    assert len(hyperline.writes) == 1
    assert hyperline.store == {}


def test_what_only_the_deployed_mapping_bills_can_stay(doctor: Doctor) -> None:
    """Its id is shown."""
    doctor.rules = read_rules('event = "Other"\nrecord = {}')

    result = doctor.run(track(), answers="yn")

    (sent,) = find_ids(doctor.gateway)
    assert f"record.id {sent}" in result.output.rpartition("stays:")[2]


def test_the_secret_is_another_one(doctor: Doctor) -> None:
    """The signature is rejected, and nothing is followed."""
    doctor.secret.content["segment_shared_secret"] = "another-shared-secret"

    result = doctor.run(track(), answers="y")

    assert result.states == ["wrong response"]
    assert "status 401 unauthorized" in result.output


def test_a_secret_that_can_not_sign(doctor: Doctor) -> None:
    """What to add to the secret is said before anything is asked."""
    del doctor.secret.content["segment_shared_secret"]

    result = doctor.run(track(), answers="")

    assert result.states == ["wrong secret"]
    assert "the secret has no segment_shared_secret: add it" in result.output


def test_an_invalid_key(doctor: Doctor) -> None:
    """The event is a test event, and the Receiver says what is wrong."""
    doctor.secret.put(hyperline_api_key=None)

    result = doctor.run(track(), answers="y")

    assert result.states == ["wrong response", "ok log"]
    assert "the secret has no hyperline_api_key" in result.output
    assert find_ids(doctor.gateway)[0].startswith("segment-test-message-")


def test_warnings_about_the_secret(production: Doctor) -> None:
    """They are shown, because Segment may send something else."""
    quoted = '"a-token-in-quotes"'
    production.secret.put(segment_bearer_token=quoted)

    result = production.run(track(), answers="y")

    assert result.states == ["ok response", "ok preview", "wrong secret", "ok log"]
    assert "is enclosed in quotes: remove them" in result.output


def test_events_that_can_not_be_read(doctor: Doctor) -> None:
    """Nothing is sent."""
    result = doctor.run(InputError("'x': no such file"), answers="")

    assert result.states == ["wrong event"]
    assert "'x': no such file" in result.output


def test_a_mapping_without_a_usual_rule(doctor: Doctor) -> None:
    """The answer says what to pass instead."""
    doctor.rules = read_rules('record = {n = "parse_json(properties.x).n"}')

    result = doctor.run(customer="acme")

    assert result.states == ["wrong event"]
    assert "pass a file with one of your own events as EVENTS" in result.output


def test_another_url(doctor: Doctor) -> None:
    """There is no route, so the Receiver has no line in the log."""
    doctor.path = "/other"

    result = doctor.run(track())

    assert result.states == ["wrong response"]
    assert "output WebhookUrl" in result.output


def test_a_lost_response(doctor: Doctor, hyperline: FakeHyperline) -> None:
    """The event can be billed nevertheless, so it is looked for and deleted."""
    lose_responses(doctor.gateway)

    result = doctor.run(track())

    assert result.states == ["wrong response", "ok log", "ok read back", "ok delete"]
    assert len(hyperline.writes) == 1
    assert hyperline.store == {}


def test_a_lost_response_in_production(
    production: Doctor, hyperline: FakeHyperline
) -> None:
    """Nothing can be billed, so nothing is read or deleted there."""
    production.gateway.respond(FakeResponse(502, b"<html>"))

    result = production.run(track())

    assert result.states == ["wrong response", "unknown log"]
    assert hyperline.reads == []
    assert hyperline.requests == []


def test_no_response(doctor: Doctor, clock: Clock) -> None:
    """The log and the sandbox are looked at, for about half a minute.

    That nothing is found doesn't prove that nothing is stored.
    """
    doctor.gateway.respond(FakeResponse(ending=Ending.CLOSED))

    result = doctor.run(track())

    assert result.states == [
        "wrong response",
        "unknown log",
        "unknown read back",
        "unknown delete",
    ]
    assert "nothing of the event was found in Hyperline, but" in result.output
    assert "stays: perhaps the event" in result.output
    assert 30 <= sum(clock.pauses) < 60


def test_hyperline_is_down(doctor: Doctor, hyperline: FakeHyperline) -> None:
    """Whether something is stored is unknown, so that it says what may stay."""
    hyperline.outage = FakeResponse(503)

    result = doctor.run(track())

    assert result.states == [
        "unknown response",
        "ok log",
        "unknown read back",
        "unknown delete",
    ]
    assert "stays: perhaps the event" in result.output


def test_a_key_that_can_not_be_sent(doctor: Doctor) -> None:
    """The Receiver can't use it either."""
    doctor.secret.put(hyperline_api_key="test_a b")

    result = doctor.run(track())

    assert result.states[-1] == "wrong read back"
    assert "copy it again, without spaces" in result.output


def test_the_log_may_not_be_read(doctor: Doctor, aws: FakeAws) -> None:
    """The rest is done nevertheless."""
    denied = Fault("400 Bad Request", b'{"__type":"AccessDeniedException"}')
    aws.fail("FilterLogEvents", denied)

    result = doctor.run(track())

    assert not result.is_well
    assert result.states[1:] == ["unknown log", "ok read back", "ok delete"]
    assert "logs:FilterLogEvents" in result.output


def test_an_interruption(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may stay is said."""
    monkeypatch.setattr("time.sleep", interrupt)

    with pytest.raises(AssertionError) as caught:
        doctor.run(track())

    assert "stays: perhaps the event" in str(caught.value)
    assert "stays: perhaps the customer customer-42" in str(caught.value)
    (sent,) = find_ids(doctor.gateway)
    assert sent in str(caught.value)


def interrupt(_seconds: float) -> None:
    """Press Ctrl-C."""
    raise KeyboardInterrupt
