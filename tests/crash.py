"""Crash the function at a chosen line, without changing its code."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType

import receiver

# The monitored code: everything in function/.
_FUNCTION = f"{Path(receiver.__file__).parent}{os.sep}"
_TOOL = 4  # an id that Python reserves for no tool


class Crash(BaseException):
    """Raised instead of the end of the process; `except Exception` can't catch it."""


@contextmanager
def crash_at(step: int | None) -> Iterator[None]:
    """Raise `Crash` at the line of function/ that is executed as number *step*, if any.

    Only lines that the calling thread executes are counted.
    """
    if step is None:
        yield
        return
    left = step
    main = threading.get_ident()

    def on_line(code: CodeType, _line: int) -> object:
        nonlocal left
        if not code.co_filename.startswith(_FUNCTION):
            return sys.monitoring.DISABLE
        if threading.get_ident() == main:
            left -= 1
            if left == 0:
                raise Crash
        return None

    monitoring = sys.monitoring
    monitoring.use_tool_id(_TOOL, "crash")
    monitoring.register_callback(_TOOL, monitoring.events.LINE, on_line)
    monitoring.set_events(_TOOL, monitoring.events.LINE)
    try:
        yield
    finally:
        monitoring.set_events(_TOOL, monitoring.events.NO_EVENTS)
        monitoring.free_tool_id(_TOOL)
