"""Count the steps of the expressions for one event, so that none takes too long.

They are counted and not timed, so that an event has the same result at every attempt.
"""

from typing import Any

from jmespath.visitor import TreeInterpreter

from segment_to_hyperline.errors import Error
from segment_to_hyperline.mapping.arguments import FunctionError
from segment_to_hyperline.mapping.functions import Functions

# A step takes about 0.3 microseconds. With a thousand elements, each can still add up a
# property of all of them.
MAX_STEPS = 4_000_000
# The longest string that a function returns.
_MAX_CHARACTERS = 1024 * 1024

# A function takes longer than other parts of an expression.
_STEPS_PER_CALL = 20
_STEPS_PER_DECOMPRESSION = 150
# How much of an argument or a result a function processes in one step.
_CHARACTERS_PER_STEP = 16
_ELEMENTS_PER_STEP = 4
# The steps for each number, because decimal numbers are added.
_STEPS_PER_NUMBER = {"sum": 2, "avg": 2}
# These functions don't look into their arguments.
_CONSTANT = {"length", "type", "not_null", "to_array"}


class TooManySteps(Error):
    """Raised when an event needs more steps than any event may."""

    def __init__(self) -> None:
        super().__init__(
            f"takes more than {MAX_STEPS:,} steps for one event; send fewer elements,"
            " or compute the value before the event is sent"
        )


class Work:
    """The steps that are left for the expressions of one event."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_STEPS
        """How many steps are left; negative once there were too few."""

    def spend(self, steps: int) -> None:
        """Use up *steps*; raise `TooManySteps` if fewer are left."""
        self.left -= steps
        if self.left < 0:
            raise TooManySteps


class CountingInterpreter(TreeInterpreter):
    """Evaluates expressions; each node of each evaluation is a step.

    A function takes more steps the longer its arguments and its result are.
    """

    def __init__(self, functions: Functions) -> None:
        super().__init__()
        self._call = functions.call_function
        self._work = Work()
        self._methods = {
            name.removeprefix("visit_"): getattr(self, name)
            for name in dir(self)
            if name.startswith("visit_")
        }

    def search(self, node: dict[str, Any], event: Any, work: Work) -> Any:
        """Return the value of *node* for *event*; raises `TooManySteps`."""
        self._work = work
        return self.visit(node, event)

    def visit(self, node: Any, value: Any) -> Any:
        """Return the value of a part of the expression for a part of the event."""
        work = self._work
        work.left -= 1
        if work.left < 0:
            raise TooManySteps
        return self._methods[node["type"]](node, value)

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        """Return the result of a function."""
        name = node["value"]
        is_slow = name == "powertools_base64_gzip"
        self._work.spend(_STEPS_PER_DECOMPRESSION if is_slow else _STEPS_PER_CALL)
        arguments = [self.visit(child, value) for child in node["children"]]
        if name in _CONSTANT:
            return self._call(name, arguments)
        for argument in arguments:
            self._work.spend(_measure(name, argument))
        result = self._call(name, arguments)
        self._work.spend(_measure("", result))
        if isinstance(result, str) and len(result) > _MAX_CHARACTERS:
            raise FunctionError(f"{name}(): the result is too long")
        return result


def _measure(name: str, value: Any) -> int:
    """Return the steps in which the function *name* processes *value*."""
    if isinstance(value, str):
        return len(value) // _CHARACTERS_PER_STEP
    if not isinstance(value, list | dict):
        return 0
    per_number = _STEPS_PER_NUMBER.get(name)
    return len(value) * per_number if per_number else len(value) // _ELEMENTS_PER_STEP
