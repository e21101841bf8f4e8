"""An installation in which all is well, of which a test changes one thing."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from io import BytesIO
from pathlib import Path
from typing import Any

from segment_to_hyperline.archive.captured import read_events
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.doctor.checklist import run_checks
from segment_to_hyperline.doctor.examples import read_examples
from segment_to_hyperline.doctor.findings import Finding, Result, Unread
from segment_to_hyperline.doctor.installation import (
    Access,
    AwsReadings,
    HyperlineReadings,
    Installation,
    MappingReadings,
    Request,
)
from segment_to_hyperline.doctor.readings import Reading
from segment_to_hyperline.doctor.rule_facts import describe_rules
from segment_to_hyperline.doctor.stack import (
    AlarmState,
    Concurrency,
    FunctionState,
    Identity,
    QueueState,
    SecretState,
    StackState,
    TopicState,
)
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.mapping.file import parse_rules
from segment_to_hyperline.reconciliation.api.core.aggregators import Aggregator
from segment_to_hyperline.reconciliation.api.core.catalog import Product, Subscription
from segment_to_hyperline.reconciliation.api.core.entities import Entity
from segment_to_hyperline.reconciliation.api.customers import Customers
from tests.samples import track

VERSION = "0.2.0"
MAPPING = """
[[rules]]
type = "track"
event = "Seats Added"
customer_id = "userId"
event_type = "event"
timestamp = "timestamp"
record = { "*" = "properties" }
"""
STACK = StackState(
    "billing",
    "UPDATE_COMPLETE",
    {"AlarmTopicArn": "arn:aws:sns:eu-west-1:111122223333:alarms"},
    {"WebhookUrl": "https://api.example/segment", "Version": VERSION},
)
SECRET: Mapping[str, Any] = {
    "hyperline_api_key": "test_key",
    "segment_shared_secret": "s" * 32,
    "segment_bearer_token": "t" * 32,
}
SEATS = Aggregator(
    "agg_1", "Seats", "Seats Added", "sum", "seats", "", is_any=False, conditions=()
)


# What is read; instead of anything, an `Unread` is raised.
HEALTHY: Mapping[str, Any] = {
    "identity": Identity("111122223333", "arn:aws:iam::111122223333:user/me", "x"),
    "stack": STACK,
    "failure": "Receiver: no such role",
    "functions": {
        name: FunctionState(name, "Active", "Successful", "")
        for name in ("Receiver", "Replayer")
    },
    "event_source": "Enabled",
    "quarantine": QueueState(0, 0, None),
    "replay": QueueState(0, 0, None),
    "topic": TopicState("arn:aws:sns:eu-west-1:111122223333:alarms", 1, 0, ""),
    "alarms": (AlarmState("PendingAlarm", "OK", "", notifies=True),),
    "log_groups": {"ReceiverLog": 30},
    "concurrency": Concurrency(1_000, 1_000, None),
    "secret": SecretState("billing", SECRET, ""),
    "access": Access(Endpoint("https://ingest.example", "test_key"), "the secret"),
    "ingestion": None,
    "core": None,
    "clock_difference": 0.4,
    "entities": (Entity("ent_1", "Acme", "Europe/Paris", 3, is_default=True),),
    "aggregators": (SEATS,),
    "products": (Product("prd_1", frozenset(("agg_1",))),),
    "subscriptions": (Subscription("cus_1", frozenset(("prd_1",)), None),),
    "customers": Customers({"customer-42": "cus_1"}, statuses={"cus_1": "active"}),
    "mapping": MAPPING,
    "deployed": None,  # like the mapping
    "events": (track(),),
}


def create_installation(**changes: Any) -> Installation:
    """Return what the checks get, with *changes* of what is read."""
    world = {**HEALTHY, **changes}
    mapping = world["mapping"].encode()
    deployed = world["deployed"] or mapping
    ready = {name: _finish(content) for name, content in world.items()}
    functions = world["functions"]
    return Installation(
        Request(
            "billing",
            None,
            Path("mapping.toml"),
            () if world["events"] is None else ("events.ndjson",),
            VERSION,
            0,
        ),
        AwsReadings(
            ready["identity"],
            ready["stack"],
            ready["failure"],
            _finish({}),
            {name: _finish(state) for name, state in functions.items()},
            {name: _finish(deployed) for name in functions},
            *(ready[name] for name in AwsReadings._fields[6:]),
        ),
        HyperlineReadings(*(ready[name] for name in HyperlineReadings._fields)),
        _create_mapping(mapping, world["events"] or ()),
    )


def _create_mapping(content: bytes, events: Sequence[Any]) -> MappingReadings:
    rules = parse_rules(content, "mapping.toml")
    text = "\n".join(e if isinstance(e, str) else json.dumps(e) for e in events)
    examples = read_examples(rules, read_events(BytesIO(text.encode())))
    return MappingReadings(
        _finish(content),
        _finish(rules),
        _finish(describe_rules(rules)),
        _finish(examples),
    )


def list_lines(**changes: Any) -> list[tuple[str, Finding]]:
    """Return the name of the check and the finding of each line."""
    lines = run_checks(create_installation(**changes))
    return [(line.check.name, line.finding) for line in lines]


def list_problems(**changes: Any) -> list[tuple[str, Finding]]:
    """Return the lines that aren't "ok", and that a healthy installation lacks."""
    usual = list_problems() if changes else []
    return [
        line
        for line in list_lines(**changes)
        if line[1].result is not Result.OK and line not in usual
    ]


def _finish(content: Any) -> Reading[Any]:
    """Return a reading that is finished, with *content* or an error."""
    future = Future[Any]()
    if isinstance(content, Unread):
        future.set_exception(content)
    else:
        future.set_result(content)
    return Reading("something", future, Deadline(60))
