"""What an experiment is."""

from collections.abc import Callable
from typing import NamedTuple

from segment_to_hyperline.doctor.probe.sandbox import Sandbox


class Experiment(NamedTuple):
    """Finds the answer to the question of an assumption."""

    name: str
    """The name of the assumption."""
    writes: str
    """What is written to the sandbox, such as "1 event"."""
    find: Callable[[Sandbox], str]
    """Returns the answer, or raises `Undecided`."""
    needs_customer: bool = True
    """Whether it needs a customer that exists."""
    needs_limited_key: bool = False
    """Whether it needs a key without the scope to write billable events."""

    def find_obstacle(self, sandbox: Sandbox) -> str:
        """Return which option is missing, or nothing."""
        if self.needs_limited_key and not sandbox.limited:
            return "needs --limited-key"
        if self.needs_customer and not sandbox.customer:
            return "needs --customer"
        return ""
