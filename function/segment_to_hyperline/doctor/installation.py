"""What the checks are about: everything that is read, each thing once."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from segment_to_hyperline.archive.captured import CapturedEvent
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.sources import find_sources, read_sources
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.doctor import stack as stacks
from segment_to_hyperline.doctor.aws import Aws
from segment_to_hyperline.doctor.examples import Examples, read_examples
from segment_to_hyperline.doctor.findings import Unread, split
from segment_to_hyperline.doctor.hyperline import (
    CoreReader,
    check_ingestion,
    open_api,
    open_core,
)
from segment_to_hyperline.doctor.readings import Reading, Readings
from segment_to_hyperline.doctor.rule_facts import RuleFacts, describe_rules
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.mapping.file import parse_rules
from segment_to_hyperline.mapping.mistakes import MappingFileError
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.reconciliation.api.client import Client
from segment_to_hyperline.reconciliation.api.core.aggregators import Aggregator
from segment_to_hyperline.reconciliation.api.core.catalog import Product, Subscription
from segment_to_hyperline.reconciliation.api.core.entities import Entity
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.pace import Pace
from segment_to_hyperline.secret import API_KEY, SecretError, find_endpoint

# The rest of a minute is for requests that were sent before.
SECONDS = 45
FUNCTIONS = ("Receiver", "Replayer")
STACK_SECRET = "the secret"  # noqa: S105 - what people read
_VARIABLE = "HYPERLINE_API_KEY"
# The Receiver's alias that API Gateway invokes.
_ALIASES = {"Receiver": "live"}


class Request(NamedTuple):
    """What to check."""

    stack: str
    """The name of the stack."""
    region: str | None
    """Its AWS region, by default the one of the environment."""
    mapping: Path
    events: tuple[str, ...]
    """The names of files, folders and objects in S3 with examples of events."""
    version: str
    """The version of this command."""
    now: float
    """In seconds since 1970."""


class AwsReadings(NamedTuple):
    """What is read at AWS."""

    identity: Reading[stacks.Identity]
    stack: Reading[stacks.StackState]
    failure: Reading[str]
    """Why the last deployment has failed, if it has."""
    resources: Reading[stacks.Resources]
    functions: Mapping[str, Reading[stacks.FunctionState]]
    mappings: Mapping[str, Reading[bytes]]
    """The mapping in the code of each function."""
    event_source: Reading[str]
    quarantine: Reading[stacks.QueueState]
    replay: Reading[stacks.QueueState]
    topic: Reading[stacks.TopicState | None]
    """None if no topic is set."""
    alarms: Reading[list[stacks.AlarmState]]
    log_groups: Reading[Mapping[str, int | None]]
    concurrency: Reading[stacks.Concurrency]
    secret: Reading[stacks.SecretState]


class Access(NamedTuple):
    """Where the key is from, and where it is used."""

    endpoint: Endpoint
    source: str
    """The secret, or HYPERLINE_API_KEY if the secret can't be read."""


class HyperlineReadings(NamedTuple):
    """What is read at Hyperline."""

    access: Reading[Access]
    ingestion: Reading[None]
    """Whether billable events can be read."""
    core: Reading[Client]
    """The core API, if it accepts the key."""
    clock_difference: Reading[float | None]
    """This machine's clock minus Hyperline's, in seconds."""
    entities: Reading[list[Entity]]
    aggregators: Reading[list[Aggregator]]
    products: Reading[list[Product]]
    subscriptions: Reading[list[Subscription]]
    customers: Reading[Customers]
    """Those of the examples, and maybe others."""


class MappingReadings(NamedTuple):
    """What is read on this machine."""

    content: Reading[bytes]
    rules: Reading[Rules]
    facts: Reading[list[RuleFacts]]
    examples: Reading[Examples]


class Installation(NamedTuple):
    """Everything that is read; a reading raises `Unread`."""

    request: Request
    aws: AwsReadings
    hyperline: HyperlineReadings
    mapping: MappingReadings


def start_reading(request: Request) -> Installation:
    """Start to read everything."""
    readings = Readings(Deadline(SECONDS))
    mapping = _start_mapping(readings, request)
    aws = _start_aws(readings, request)
    hyperline = _start_hyperline(readings, aws, mapping)
    return Installation(request, aws, hyperline, mapping)


def _start_aws(readings: Readings, request: Request) -> AwsReadings:
    start, aws = readings.start, Aws(request.region)
    stack = start("the stack", lambda: stacks.read_stack(aws, request.stack))
    resources = start(
        "the stack's resources", lambda: stacks.read_resources(aws, stack.get())
    )

    def of_resources[Content](
        name: str, read: Callable[[Aws, stacks.Resources], Content]
    ) -> Reading[Content]:
        return start(name, lambda: read(aws, resources.get()))

    functions = {
        name: of_resources(
            f"the {name}",
            partial(stacks.read_function, name=name, alias=_ALIASES.get(name)),
        )
        for name in FUNCTIONS
    }
    queues = {
        name: of_resources(
            f"the queue {name}",
            partial(stacks.read_queue, name=name, now=request.now),
        )
        for name in ("Quarantine", "Replay")
    }
    return AwsReadings(
        start("the credentials", lambda: stacks.read_identity(aws)),
        stack,
        start(
            "the last deployment", lambda: stacks.read_failure(aws, stack.get().name)
        ),
        resources,
        functions,
        {name: _start_download(readings, functions[name]) for name in FUNCTIONS},
        of_resources("the event source", stacks.read_event_source),
        queues["Quarantine"],
        queues["Replay"],
        start("the topic", lambda: stacks.read_topic(aws, stack.get())),
        of_resources("the alarms", stacks.read_alarms),
        of_resources("the log groups", stacks.read_log_groups),
        of_resources("the concurrency", stacks.read_concurrency),
        start("the secret", lambda: stacks.read_secret(aws, stack.get().secret_id)),
    )


def _start_download(
    readings: Readings, function: Reading[stacks.FunctionState]
) -> Reading[bytes]:
    return readings.start(
        "the deployed mapping", lambda: stacks.read_deployed_mapping(function.get())
    )


def _start_hyperline(
    readings: Readings, aws: AwsReadings, mapping: MappingReadings
) -> HyperlineReadings:
    start = readings.start
    access = start("the API key", lambda: _find_access(aws))
    ingestion = start("the API key", lambda: _open_ingestion(access.get().endpoint))
    checked = start("billable events", lambda: check_ingestion(ingestion.get()))
    opened = start("the core API", lambda: open_core(access.get().endpoint))
    core = CoreReader(opened.get)

    def read_clock() -> float | None:
        with suppress(Unread):  # an error has a date, too
            checked.get()
        return ingestion.get().clock_difference

    return HyperlineReadings(
        access,
        checked,
        opened,
        start("Hyperline's clock", read_clock),
        start("invoicing entities", core.read_entities),
        start("aggregators", core.read_aggregators),
        start("products", core.read_products),
        start("subscriptions", core.read_subscriptions),
        start(
            "customers",
            lambda: core.read_customers(mapping.examples.get().customers),
        ),
    )


def _find_access(aws: AwsReadings) -> Access:
    """Return the host and the key of the stack, else those of the environment."""
    key = os.environ.get(_VARIABLE)
    fields: Mapping[str, object] = {API_KEY: key}
    url = os.environ.get("HYPERLINE_URL")
    source = _VARIABLE
    try:
        fields = aws.secret.get().fields
        url = url or aws.stack.get().parameters.get("HyperlineUrl")
        source = STACK_SECRET
    except Unread:
        if not key:
            raise
    try:
        return Access(find_endpoint(fields, url or None), source)
    except SecretError as error:
        raise Unread(*split(str(error))) from error


def _open_ingestion(endpoint: Endpoint) -> Client:
    return open_api(*endpoint, Pace())


def _start_mapping(readings: Readings, request: Request) -> MappingReadings:
    start = readings.start
    content = start("the mapping", lambda: _read_mapping(request.mapping))
    rules = start("the mapping", lambda: _parse(content.get(), request.mapping.name))
    return MappingReadings(
        content,
        rules,
        start("the mapping", lambda: describe_rules(rules.get())),
        start("the examples", lambda: _read_examples(rules.get(), request.events)),
    )


def _read_mapping(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unread(f"{path}: {error.strerror}", "check --mapping") from error


def _parse(content: bytes, name: str) -> Rules:
    try:
        return parse_rules(content, name)
    except MappingFileError as error:
        raise Unread(str(error), "correct the mapping") from error


def read_example_events(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the events of files, folders and objects in S3.

    Raises `InputError`, also if something can't be read and there is no event.
    """
    unreadable, has_events = "", False
    for _, captured, _ in read_sources(find_sources(names)):
        if not isinstance(captured, CapturedEvent):
            unreadable = unreadable or captured.reason
        elif isinstance(captured.event.data, dict):
            has_events = True
            yield captured.event.data
    if unreadable and not has_events:
        raise InputError(unreadable)


def _read_examples(rules: Rules, events: tuple[str, ...]) -> Examples:
    try:
        items = (captured for _, captured, _ in read_sources(find_sources(events)))
        return read_examples(rules, items)
    except InputError as error:
        raise Unread(*split(str(error))) from error
