"""The queues and logs of a deployed stack, and what waits in its Quarantine."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, Self

from segment_to_hyperline.aws.messages import ReceivedMessage
from segment_to_hyperline.installed.queue_addresses import parse_queue
from segment_to_hyperline.installed.stack import Stack
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.quarantine.aws import Aws
from segment_to_hyperline.quarantine.queue import MAX_MESSAGES, Queue, State
from segment_to_hyperline.quarantine.waiting import Place, Waiting, read_message


class Contents(NamedTuple):
    """What waits in Quarantine."""

    state: State
    """The numbers of messages before they were read."""
    messages: list[ReceivedMessage]
    events: list[Waiting]

    def find_foreign(self) -> list[ReceivedMessage]:
        """Return the messages that this application didn't write."""
        own = {event.message.id for event in self.events}
        return [message for message in self.messages if message.id not in own]

    def by_place(self) -> Mapping[Place, Waiting]:
        """Return the events by where they are stored."""
        return {event.place: event for event in self.events}

    def list_notes(self) -> Iterator[str]:
        """Yield what a person has to know about the messages that aren't shown."""
        if foreign := self.find_foreign():
            yield (
                f"not of this application, and left alone: {len(foreign):,} of the"
                f" messages, such as {foreign[0].id}"
            )
        if self.state.hidden:
            yield (
                f"hidden, because somebody has received them: about"
                f" {self.state.hidden:,} messages; run the command again in 15 minutes"
            )
        if len(self.messages) >= MAX_MESSAGES:
            yield f"only the first {MAX_MESSAGES:,} messages were read"


class Site(NamedTuple):
    """A deployed stack."""

    aws: Aws
    resources: Mapping[str, str]
    """The id of each resource by its name in the template."""
    quarantine: Queue
    replay: Queue

    @classmethod
    def create(cls, stack: Stack) -> Self:
        """Return the queues and logs of *stack*; raises `InputError`."""
        aws = Aws(stack.region)
        listed = aws.list(
            *("cloudformation", "ListStackResources", "StackResourceSummaries"),
            StackName=stack.name,
        )
        resources = {
            each["LogicalResourceId"]: each.get("PhysicalResourceId", "")
            for each in listed
        }
        endpoint = aws.find_endpoint("sqs")
        arns = {"Quarantine": stack.quarantine_arn, "Replay": stack.replay_arn}
        queues = {
            name: Queue(aws, name, parse_queue(arn).create_url(endpoint))
            for name, arn in arns.items()
        }
        return cls(aws, resources, queues["Quarantine"], queues["Replay"])

    def list_logs(self) -> list[str]:
        """Return the log groups of the functions that bill events."""
        return [self.resources[name] for name in ("ReceiverLog", "ReplayerLog")]

    @contextmanager
    def look(
        self, rules: Rules, report: Callable[[int, int], object] = max
    ) -> Iterator[Contents]:
        """Yield what waits in Quarantine, and make it visible again at the end.

        *report* is called with how many messages were read, of how many. Raises
        `InputError`.
        """
        state = self.quarantine.read_state()

        def report_number(number: int) -> None:
            report(number, max(number, state.visible))

        with self.quarantine.look(report_number) as messages:
            found = [event for m in messages for event in read_message(m, rules)]
            yield Contents(state, messages, found)
