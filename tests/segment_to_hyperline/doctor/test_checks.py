"""Each check finds what it is for, if that is the only thing wrong."""

import json
from io import BytesIO
from itertools import repeat
from typing import Any, NamedTuple

import pytest

from segment_to_hyperline.archive.captured import read_events
from segment_to_hyperline.doctor.checklist import CHECKS
from segment_to_hyperline.doctor.checks import mapping
from segment_to_hyperline.doctor.examples import read_examples
from segment_to_hyperline.doctor.findings import Result, Unread
from segment_to_hyperline.doctor.installation import Access
from segment_to_hyperline.doctor.rule_facts import describe_rules
from segment_to_hyperline.doctor.stack import (
    AlarmState,
    Concurrency,
    FunctionState,
    QueueState,
    SecretState,
    TopicState,
)
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.mapping.file import parse_rules
from segment_to_hyperline.reconciliation.api.core.aggregators import Condition
from segment_to_hyperline.reconciliation.api.core.catalog import Product, Subscription
from segment_to_hyperline.reconciliation.api.core.entities import Entity
from segment_to_hyperline.reconciliation.api.customers import DELETED, Customers
from tests.samples import track
from tests.segment_to_hyperline.doctor.healthy import (
    MAPPING,
    SEATS,
    SECRET,
    STACK,
    list_lines,
    list_problems,
)

OK, WRONG = Result.OK, Result.WRONG
WARNING, UNKNOWN = Result.WARNING, Result.UNKNOWN
TOPIC = TopicState("arn:aws:sns:eu-west-1:111122223333:alarms", 1, 0, "")
ACME = Entity("ent_1", "Acme", "Europe/Paris", 3, is_default=True)
PRO = Condition("plan", "equals", "pro")


class Case(NamedTuple):
    """One thing that is wrong, and the line that says so."""

    check: str
    changes: dict[str, Any]
    result: Result
    evidence: str
    """A part of it."""
    remedy: str
    """A part of it."""


def status(text: str) -> dict[str, Any]:
    """Return a stack with another status."""
    return {"stack": STACK._replace(status=text)}


def function(state: str, update: str = "Successful") -> dict[str, Any]:
    """Return functions of which the Replayer is in another state."""
    receiver = FunctionState("Receiver", "Active", "Successful", "")
    return {
        "functions": {
            "Receiver": receiver,
            "Replayer": FunctionState("Replayer", state, update, ""),
        }
    }


def alarm(name: str, state: str, *, notifies: bool = True) -> dict[str, Any]:
    """Return one alarm."""
    return {"alarms": (AlarmState(name, state, "Do this.", notifies=notifies),)}


def secret(**changes: Any) -> dict[str, Any]:
    """Return a secret with other fields; None removes one."""
    fields = {**SECRET, **changes}
    present = {name: value for name, value in fields.items() if value is not None}
    return {"secret": SecretState("billing", present, "")}


def aggregator(**changes: Any) -> dict[str, Any]:
    """Return one aggregator that is different."""
    return {"aggregators": (SEATS._replace(**changes),)}


def rule(record: str, event_type: str = "event") -> str:
    """Return a mapping with one rule for the event Seats Added."""
    return MAPPING.replace('{ "*" = "properties" }', record).replace(
        'event_type = "event"', f'event_type = "{event_type}"'
    )


def unseen(record: str, **changes: Any) -> dict[str, Any]:
    """Return a mapping of which no example was seen, and an aggregator."""
    return {
        "mapping": rule(record),
        "events": (track(event="Other"),),
        **aggregator(**changes),
    }


CASES = (
    Case(
        "credentials",
        {"identity": Unread("the AWS credentials have expired", "sign in")},
        *(WRONG, "have expired", "sign in"),
    ),
    Case("stack", status("UPDATE_ROLLBACK_COMPLETE"), WARNING, "no such role", "sam"),
    Case("stack", status("ROLLBACK_COMPLETE"), WRONG, "no such role", "sam delete"),
    Case("stack", status("UPDATE_ROLLBACK_FAILED"), WRONG, "no such role", "correct"),
    Case("stack", status("UPDATE_IN_PROGRESS"), WARNING, "IN_PROGRESS", "wait"),
    Case(
        "stack",
        {"stack": STACK._replace(outputs={"Version": "0.2.0"})},
        *(WRONG, "not one of this application", "--stack"),
    ),
    Case(
        "version",
        {"stack": STACK._replace(outputs={**STACK.outputs, "Version": "0.3.0"})},
        *(WARNING, "0.3.0 is deployed, and this is 0.2.0", "sam deploy"),
    ),
    Case("functions", function("Failed: no image"), WRONG, "no image", "sam deploy"),
    Case("functions", function("Active", "Failed: x"), WRONG, "Failed: x", "sam"),
    Case("functions", function("Active", "InProgress"), WARNING, "updated", "wait"),
    Case("stack", status("REVIEW_IN_PROGRESS"), WRONG, "REVIEW", "sam deploy"),
    Case("event source", {"event_source": "Disabling"}, WRONG, "Disabling", "enable"),
    Case("queues", {"quarantine": QueueState(0, 1, None)}, WRONG, "1 message", "14"),
    Case("clock", {"clock_difference": -3_600}, WRONG, "3,600 s behind", "set the"),
    Case(
        "examples",
        {"events": (track(), '{"type": ')},
        *(WARNING, "1 billed, 1 unreadable", "preview"),
    ),
    Case(
        "negative values",
        {
            "events": (
                track(properties={"seats": -2}),
                track(messageId="2", properties={"seats": 1}),
            )
        }
        | aggregator(allows_negative=False),
        *(WRONG, "'seats' is -2 in a record", "allow them"),
    ),
    Case(
        "deployed mapping",
        {"deployed": b"other"},
        *(
            WRONG,
            "Receiver and Replayer have another one than mapping.toml",
            "--mapping",
        ),
    ),
    Case("event source", {"event_source": "Disabled"}, WRONG, "Disabled", "enable"),
    Case(
        "queues",
        {"quarantine": QueueState(2, 1, 7_200)},
        *(WRONG, "3 messages, the oldest is 2.0 h old", "redrive"),
    ),
    Case("queues", {"quarantine": QueueState(1, 0, None)}, WRONG, "unknown age", "14"),
    Case(
        "queues",
        {"replay": QueueState(1, 0, 3_601)},
        *(WARNING, "Replay: 1 message", "accepts the key"),
    ),
    Case("alarm topic", {"topic": None}, WARNING, "nobody is notified", "SNS"),
    Case(
        "alarm topic",
        {"topic": TOPIC._replace(confirmed=0, pending=1)},
        *(WRONG, "no confirmed subscription, 1 not confirmed", "e-mail"),
    ),
    Case(
        "alarm topic",
        {"topic": TOPIC._replace(pending=1)},
        *(WARNING, "1 subscription of arn", "e-mail"),
    ),
    Case(
        "alarm topic",
        {"topic": TOPIC._replace(key="alias/aws/sns")},
        *(WRONG, "can't use the key alias/aws/sns", "customer managed key"),
    ),
    Case("alarms", alarm("PendingAlarm", "ALARM"), WRONG, "is raised", "Do this."),
    Case("alarms", alarm("PendingAlarm", ""), WRONG, "was deleted", "sam deploy"),
    Case("alarms", alarm("A", "OK", notifies=False), WRONG, "disabled", "enable"),
    Case("logs", {"log_groups": {"ReceiverLog": 0}}, WRONG, "was deleted", "create"),
    Case("logs", {"log_groups": {"A": None}}, WARNING, "never deleted", "retention"),
    Case(
        "concurrency",
        {"concurrency": Concurrency(1_000, 1_000, 0)},
        *(WRONG, "0 Receivers can run", "remove"),
    ),
    Case(
        "concurrency",
        {"concurrency": Concurrency(10, 10, None)},
        *(WARNING, "10 Receivers can run", "Service Quotas"),
    ),
    Case(
        "secret",
        {"secret": SecretState("billing", SECRET, "key/1")},
        WARNING,
        "key/1",
        "kms:Decrypt",
    ),
    Case(
        "secret",
        secret(Segment_Shared_Secrets="x"),
        *(WRONG, "a field 'Segment_Shared_Secrets'", "segment_shared_secret"),
    ),
    Case(
        "API key",
        {
            "access": Access(
                Endpoint("https://x.example", "test_key"), "HYPERLINE_API_KEY"
            )
        },
        UNKNOWN,
        "HYPERLINE_API_KEY",
        "secret",
    ),
    Case(
        "shared secret",
        secret(segment_shared_secret="short"),
        *(WRONG, "shorter than 16 characters", "openssl rand"),
    ),
    Case(
        "shared secret",
        secret(segment_shared_secret=f" {'s' * 32}"),
        *(WRONG, "begins or ends with a space", "remove it"),
    ),
    Case(
        "shared secret",
        secret(segment_shared_secret=["s" * 32, "t" * 32]),
        *(WARNING, "2 values are accepted", "remove the other"),
    ),
    Case(
        "bearer token",
        secret(segment_bearer_token=None),
        *(WARNING, "batches get 401", "Authorization"),
    ),
    Case(
        "bearer token",
        secret(segment_bearer_token=f"Bearer {'t' * 32}"),
        *(WRONG, "begins with 'Bearer '", "remove this word"),
    ),
    Case(
        "ingestion API",
        {"ingestion": Unread("Hyperline rejected the API key (401)", "use a valid")},
        *(WRONG, "401", "use a valid"),
    ),
    Case(
        "core API",
        {"core": Unread("the host name is unknown", "check the host")},
        *(WRONG, "unknown", "check"),
    ),
    Case("clock", {"clock_difference": None}, UNKNOWN, "no date", "compare"),
    Case("clock", {"clock_difference": 3_600}, WRONG, "3,600 s ahead of", "set the"),
    Case("clock", {"clock_difference": -31}, WARNING, "31 s behind", "set the clock"),
    Case("invoicing", {"entities": ()}, WRONG, "no invoicing entity", "create one"),
    Case(
        "invoicing",
        {"entities": (Entity("ent_1", "Acme", "", 1, is_default=True),)},
        *(WARNING, "1 days after a period", "act earlier"),
    ),
    Case(
        "examples",
        {"events": (track(), track(userId=None))},
        *(WARNING, "1 billed, 1 quarantined", "preview"),
    ),
    Case(
        "event types",
        {
            "events": (track(), track(event="Seats Added ", messageId="2")),
            "mapping": MAPPING.replace('event = "Seats Added"\n', ""),
        },
        *(WRONG, "'Seats Added ', so it is never invoiced; Seats counts", "same name"),
    ),
    Case(
        "event types",
        {"mapping": f"{MAPPING}{MAPPING.replace('Seats Added', 'Exported')}"},
        *(WRONG, "no aggregator counts 'Exported'", "create an aggregator"),
    ),
    Case(
        "sums",
        aggregator(property="Seats"),
        *(WRONG, "none of 1 record has; they have 'seats'", "correct"),
    ),
    Case(
        "sums",
        {"events": (track(properties={"seats": "3"}),)},
        *(WRONG, "is a string in 1 of 1 record", "to_number"),
    ),
    Case(
        "sums",
        {"events": (track(), track(properties={}, messageId="2"))},
        *(WARNING, "1 of 2 records don't have", "add nothing"),
    ),
    Case(
        "negative values",
        {"events": (track(properties={"seats": -2}),)}
        | aggregator(allows_negative=False),
        *(WRONG, "'seats' is -2 in a record", "allow them"),
    ),
    Case(
        "filters",
        aggregator(conditions=(PRO,)),
        *(WARNING, "plan equals 'pro': none of 1 record", "correct the filter"),
    ),
    Case(
        "filters",
        aggregator(conditions=(Condition("tier", "equals", "pro"),)),
        *(WRONG, "none has 'tier'", "correct the filter"),
    ),
    Case(
        "filters",
        aggregator(conditions=(Condition("plan", "resembles", "pro"),)),
        *(UNKNOWN, "can't be evaluated", "usage in Hyperline"),
    ),
    Case(
        "unused aggregators",
        {"aggregators": (SEATS, SEATS._replace(id="agg_2", name="B", entity="Login"))},
        *(WARNING, "no rule produces 'Login', which B counts", "add a rule"),
    ),
    Case(
        "invoiced",
        {"products": (Product("prd_1", frozenset(("agg_2",))),)},
        *(WRONG, "no product uses Seats", "add a product"),
    ),
    Case(
        "invoiced",
        {"products": (Product("prd_1", None),)},
        *(UNKNOWN, "doesn't show", "in your products"),
    ),
    Case(
        "invoiced",
        {
            # With one of unknown aggregators, nobody knows what a customer pays for.
            "products": (
                Product("prd_1", frozenset(("agg_1",))),
                Product("prd_2", None),
            ),
            "subscriptions": (Subscription("cus_1", frozenset(("prd_2",)), None),),
        },
        *(WRONG, "no active subscription has a product", "subscribe"),
    ),
    Case(
        "queues",
        {"replay": QueueState(1, 0, None)},
        *(UNKNOWN, "1 message, of unknown age", "dashboard"),
    ),
    Case("alarms", {"alarms": ()}, WRONG, "the stack has no alarms", "sam deploy"),
    Case("logs", {"log_groups": {}}, WRONG, "has no log groups", "sam deploy"),
    Case(
        "secret",
        {"secret": SecretState("billing", SECRET, None)},
        *(UNKNOWN, "whether a customer managed key", "DescribeSecret"),
    ),
    Case(
        "invoicing",
        {"entities": (ACME._replace(has_grace=False),)},
        *(UNKNOWN, "doesn't show its grace period", "settings"),
    ),
    Case(
        "sums",
        aggregator(operation="sql_formula"),
        *(UNKNOWN, "Seats is computed by a formula", "usage in Hyperline"),
    ),
    Case(
        "unused aggregators",
        {"aggregators": (SEATS, SEATS._replace(id="agg_2", name="B", entity=""))},
        *(UNKNOWN, "B has no event type", "see it"),
    ),
    Case("invoiced", {"products": ()}, WRONG, "there are no products", "add a"),
    Case(
        "invoiced",
        {"products": (Product("prd_2", frozenset()), Product("prd_1", None))},
        *(UNKNOWN, "whether a product uses Seats", "has a price"),
    ),
    Case(
        "existence",
        {"customers": Customers({"customer-42": "cus_1"}, statuses={"cus_1": DELETED})},
        *(WRONG, "customer-42: deleted in Hyperline", "create the customer"),
    ),
    Case(
        "existence",
        {
            "events": (track(userId="cus_ghost"),),
            "subscriptions": (Subscription("cus_ghost", frozenset(("prd_1",)), None),),
        },
        *(WRONG, "cus_ghost: no such customer", "external id"),
    ),
    Case(
        "subscribed",
        {
            "subscriptions": (
                Subscription("cus_1", frozenset(("prd_2",)), None),
                Subscription("cus_2", frozenset(("prd_1",)), None),
            )
        },
        *(WRONG, "customer-42: no active subscription invoices 'Seats", "add the"),
    ),
    Case(
        "existence",
        {"events": (track(), track(userId="ghost", messageId="2"))},
        *(WRONG, "ghost: no such customer", "external id"),
    ),
    Case(
        "existence",
        {
            "customers": Customers(
                {"customer-42": "cus_1"}, statuses={"cus_1": "automatically_created"}
            )
        },
        *(WRONG, "customer-42: created by Hyperline", "complete the customer"),
    ),
    Case(
        "subscribed",
        {
            "customers": Customers(
                {"customer-42": "cus_1", "other": "cus_2"},
                statuses={"cus_1": "active", "cus_2": "active"},
            ),
            "events": (track(), track(userId="other", messageId="2")),
        },
        *(WRONG, "other: no active subscription", "create a subscription"),
    ),
)


RULE_CASES = (
    Case(
        "sums",
        unseen("{ plan = \"'pro'\" }"),
        *(WRONG, "which rule 1 doesn't put into the record", "`record` of the rule"),
    ),
    Case(
        "sums",
        unseen("{ seats = \"'3'\" }"),
        *(WRONG, "which isn't a number", "correct the rule"),
    ),
    Case(
        "sums",
        unseen('{ "*" = "properties" }', property="id"),
        *(WRONG, "which isn't a number", "correct the aggregator"),
    ),
    Case(
        "sums",
        unseen('{ seats = "properties.seats" }'),
        *(UNKNOWN, "don't say whether it is a number", "with EVENTS"),
    ),
    Case(
        "sums",
        unseen('{ "*" = "properties" }'),
        *(UNKNOWN, "don't say whether it is a number", "with EVENTS"),
    ),
    Case(
        "negative values",
        unseen('{ seats = "`-1`" }', allows_negative=False),
        *(WRONG, "'seats' is -1", "allow them"),
    ),
    Case(
        "negative values",
        unseen('{ seats = "`-1` || `1`" }', allows_negative=False),
        *(WARNING, "'seats' can be -1", "allow them"),
    ),
    Case(
        "negative values",
        unseen('{ seats = "properties.seats" }', allows_negative=False),
        *(UNKNOWN, "'seats' may be negative", "with EVENTS"),
    ),
    Case(
        "sums",
        unseen('{ seats = "`1` || `true`" }'),
        *(WRONG, "which isn't a number", "correct the rule"),
    ),
    Case(
        "filters",
        unseen("{ plan = \"'free'\", seats = '`1`' }", conditions=(PRO,)),
        *(WRONG, "which no rule produces", "correct the filter"),
    ),
    Case(
        "filters",
        unseen("{ seats = '`1`' }", conditions=(PRO,)),
        *(WRONG, "which no rule produces", "correct the filter"),
    ),
    Case(
        "filters",
        unseen("{ plan = 'properties.plan', seats = '`1`' }", conditions=(PRO,)),
        *(UNKNOWN, "don't say whether they do", "with EVENTS"),
    ),
    Case(
        "filters",
        unseen("{ '*' = 'properties', seats = '`1`' }", conditions=(PRO,)),
        *(UNKNOWN, "don't say whether they do", "with EVENTS"),
    ),
)


@pytest.mark.parametrize("case", RULE_CASES, ids=lambda c: f"{c.check}: {c.evidence}")
def test_the_rules_alone_say_what_is_wrong(case: Case) -> None:
    """As far as they can; the rest is unknown, and never "ok"."""
    lines = list_problems(**case.changes)
    found = [finding for name, finding in lines if name == case.check]

    assert [finding.result for finding in found] == [case.result]
    assert case.evidence in found[0].evidence
    assert case.remedy in found[0].remedy


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        ("{ seats = '`3`' }", {}),
        ("{ seats = 'to_number(properties.seats)' }", {}),
        ("{ seats = '`3` || `4`' }", {"allows_negative": False}),
        (
            "{ seats = '`1`', plan = \"'pro'\" }",
            {"conditions": (PRO, Condition("seats", "gte", 1))},
        ),
        (
            "{ seats = '`1`', plan = \"'free'\" }",
            {"conditions": (PRO, Condition("seats", "gte", 1)), "is_any": True},
        ),
        ("{ seats = '`1`' }", {"conditions": (Condition("plan", "isNull", None),)}),
    ],
)
def test_the_rules_alone_are_enough(record: str, changes: dict[str, Any]) -> None:
    """What they write themselves needs no examples."""
    lines = list_problems(**unseen(record, **changes))

    assert {name for name, _ in lines} & {"sums", "filters", "negative values"} == set()


def test_a_table_says_which_event_types_there_are() -> None:
    """Its entries, and the value for anything else."""
    text = MAPPING.replace(
        '"event"\ntimestamp', "\"lookup('names', event, 'Other')\"\ntimestamp"
    )
    mapping = f"[tables.names]\nSeats = 'Seats Added'\n{text}"

    lines = list_problems(mapping=mapping, events=None)

    found = [finding.evidence for name, finding in lines if name == "event types"]
    assert found == ["no aggregator counts 'Other', so it is never invoiced"]


@pytest.mark.parametrize(
    ("check", "evidence"),
    [
        ("examples", "no EVENTS are given"),
        ("event types", "a rule bills events of any name"),
        ("unused aggregators", "whether the mapping feeds Seats"),
        ("existence", "no EVENTS are given"),
        ("subscribed", "no EVENTS are given"),
    ],
)
def test_what_only_examples_can_say_is_unknown(check: str, evidence: str) -> None:
    """With what to do to find out, and never "ok"."""
    mapping = MAPPING.replace('event = "Seats Added"\n', "")

    lines = list_problems(mapping=mapping, events=None)

    (found,) = [finding for name, finding in lines if name == check]
    assert (found.result, found.evidence) == (UNKNOWN, evidence)
    assert "EVENTS" in found.remedy


def test_examples_show_which_aggregator_gets_nothing() -> None:
    """If a rule bills events of any name."""
    lines = list_problems(
        mapping=MAPPING.replace('event = "Seats Added"\n', ""),
        aggregators=(SEATS, SEATS._replace(id="agg_2", name="B", entity="Login")),
        products=(Product("prd_1", frozenset(("agg_1", "agg_2"))),),
    )

    ((name, finding),) = lines
    assert name == "unused aggregators"
    assert finding.evidence == "no example is 'Login', which B counts"


def test_examples_that_are_not_billed() -> None:
    """Nothing that the other checks say about records is about them."""
    ((name, finding),) = [
        line
        for line in list_problems(events=(track(event="Other"),))
        if line[0] == "examples"
    ]

    assert (name, finding.result) == ("examples", WRONG)
    assert finding.evidence == "1 event: 1 filtered"


@pytest.mark.parametrize(
    ("event_type", "known"),
    [
        ("type", ["track"]),
        ("event", ["Seats Added"]),
        ("'A' || 'B'", ["A", "B"]),
        ("event || 'B'", []),
        ("properties.plan || 'B'", []),
    ],
)
def test_event_types_that_the_rules_name(event_type: str, known: list[str]) -> None:
    """As far as an expression doesn't depend on the event."""
    text = MAPPING.replace('"event"\ntimestamp', f'"{event_type}"\ntimestamp')
    rules = parse_rules(text.encode(), "mapping.toml")

    (rule,) = describe_rules(rules)

    assert sorted(rule.event_types or ()) == known


def test_a_status_that_is_not_known() -> None:
    """It may be active."""
    unclear = Subscription("cus_1", frozenset(("prd_1",)), None, is_active=None)

    lines = list_problems(subscriptions=(unclear,))

    assert [(name, finding.result) for name, finding in lines] == [
        ("subscriptions", WARNING),
        ("invoiced", UNKNOWN),
        ("subscribed", UNKNOWN),
    ]


def test_many_records_of_which_the_first_are_not_taken() -> None:
    """Only a part of the records is remembered."""
    events = [track(messageId=str(number)) for number in range(1_001)]
    counter = SEATS._replace(conditions=(PRO,))

    lines = dict(list_problems(events=events, aggregators=(counter,)))

    assert lines["filters"].result is UNKNOWN
    assert "none of 1,000 records, which are the first" in lines["filters"].evidence


@pytest.mark.parametrize(
    "mapping",
    [
        """
[tables.t]
a = "Seats Added"
b = 5

[[rules]]
type = "track"
event_type = "lookup('t', properties.plan)"
record = { seats = "`3`" }
""",
        """
[[rules]]
type = "track"
event = "Seats Added"
event_type = "'Seats Added'"
record = { seats = "`1`" }

[[rules]]
type = "track"
event = "Seats Sold"
event_type = "'Seats Added'"
record = { seats = "to_number(properties.seats)" }

[[rules]]
type = "screen"
event_type = "name"
record = { page = "name" }
""",
    ],
)
def test_rules_that_are_right(mapping: str) -> None:
    """Neither a value that is no text nor a rule for any name makes them wrong."""
    lines = list_problems(mapping=mapping, events=None)

    assert [name for name, finding in lines if finding.result is WRONG] == []
    assert "sums" not in {name for name, _ in lines}


def test_only_what_the_filter_takes_is_added_up() -> None:
    """A refund isn't, so that its number doesn't matter."""
    refund = {"plan": "refund", "seats": -1}
    events = (track(), track(messageId="2", properties=refund))
    team = Condition("plan", "equals", "team")
    counter = SEATS._replace(conditions=(team,), allows_negative=False)

    assert list_problems(events=events, aggregators=(counter,)) == []


def test_more_examples_than_are_used() -> None:
    """They aren't read."""
    rules = parse_rules(MAPPING.encode(), "mapping.toml")
    (item,) = read_events(BytesIO(json.dumps(track()).encode()))

    examples = read_examples(rules, repeat(item), most=3)

    assert examples.outcomes == {"billed": 3}


def test_no_subscription_is_active() -> None:
    """Then nothing is invoiced, to nobody."""
    paused = Subscription("cus_1", frozenset(("prd_1",)), None, is_active=False)

    lines = list_problems(subscriptions=(paused,))

    assert [(name, finding.result) for name, finding in lines] == [
        ("subscriptions", WARNING),
        ("invoiced", WRONG),
        ("subscribed", WRONG),
    ]


def test_nothing_is_said_about_what_is_not_there() -> None:
    """Neither about sums of counters, nor about products without an aggregator."""
    counter = SEATS._replace(operation="count", property="")

    assert list_problems(aggregators=(counter,)) == []
    lines = list_problems(aggregators=(), products=(Product("prd_1", None),))
    assert [name for name, _ in lines] == ["event types"]


def test_a_filter_that_takes_some_records() -> None:
    """How many is shown."""
    events = (track(), track(messageId="2", properties={"seats": 1, "plan": "pro"}))
    counter = SEATS._replace(conditions=(PRO,))

    lines = dict(list_lines(events=events, aggregators=(counter,)))

    assert lines["filters"].result is OK
    assert lines["filters"].evidence.endswith("plan equals 'pro': 1 of 2 records")


def test_many_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those above the limit, nothing is known, and the line says so."""
    monkeypatch.setattr(mapping, "MAX_EXAMPLES", 2)
    events = (track(), track(messageId="2"))

    lines = dict(list_lines(events=events))

    assert lines["examples"].evidence == "the first 2 events: 2 billed"


@pytest.mark.parametrize(
    ("reading", "checks"),
    [
        ("aggregators", ("event types", "sums", "negative values", "filters")),
        ("products", ("invoiced",)),
        ("subscriptions", ("invoiced", "subscribed")),
    ],
)
def test_a_missing_scope_is_named_once(reading: str, checks: tuple[str, ...]) -> None:
    """The checks that need it refer to the line that says so."""
    missing = Unread("the API key has no permission", "add the scope", UNKNOWN)

    lines = dict(list_problems(**{reading: missing}))

    assert lines[reading] == (UNKNOWN, missing.finding.evidence, "add the scope")
    for check in checks:
        assert lines[check].evidence == f'not checked: see "{reading}" above'
        assert lines[check].result is UNKNOWN


def test_a_healthy_installation_has_nothing_wrong() -> None:
    """Only what a post would show isn't known."""
    assert [name for name, _ in list_problems()] == ["ingestion API"]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.check}: {c.evidence}")
def test_one_thing_is_wrong(case: Case) -> None:
    """One line says what, and what to do; all others are as before."""
    ((name, finding),) = list_problems(**case.changes)

    assert (name, finding.result) == (case.check, case.result)
    assert case.evidence in finding.evidence
    assert case.remedy in finding.remedy


def test_every_check_can_find_something() -> None:
    """There is a case for each; what reads a list can also fail to read it."""
    lists = {"aggregators", "products", "subscriptions"}

    assert {case.check for case in CASES} | lists == {check.name for check in CHECKS}
