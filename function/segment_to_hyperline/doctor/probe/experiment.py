"""What an experiment is."""

from collections.abc import Callable
from typing import NamedTuple

from segment_to_hyperline.doctor.probe.sandbox import Sandbox
from segment_to_hyperline.text import format_count


class Experiment(NamedTuple):
    """Finds the answer to the question of an assumption."""

    name: str
    """The name of the assumption."""
    events: int
    """The most events that it writes, with those that check the customer."""
    find: Callable[[Sandbox], str]
    """Returns the answer, or raises `Undecided`."""
    needs_customer: bool = True
    """Whether it needs a customer that exists."""
    needs_limited_key: bool = False
    """Whether it needs a key without the scope to write billable events."""

    note: str = ""
    """What else may be written."""

    def describe_writes(self) -> str:
        """Return in a sentence what is written to the sandbox."""
        if not self.events:
            return "It writes nothing."
        return f"It writes at most {format_count(self.events, 'event')}{self.note}."

    def find_obstacle(self, sandbox: Sandbox) -> str:
        """Return which option is missing, or nothing."""
        if self.needs_limited_key and not sandbox.limited:
            return "needs --limited-key"
        if self.needs_customer and not sandbox.customer:
            return "needs --customer"
        return ""
