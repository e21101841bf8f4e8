"""Crash the function at a certain step, without a change to its code."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType

import app

FUNCTION = str(Path(app.__file__).parent)
_TOOL = 4  # one of those that nobody else has


class Crash(BaseException):
    """The process is gone, as far as the function can tell."""


@contextmanager
def crash_at(step: int | None) -> Iterator[None]:
    """Raise `Crash` in the line of function/ that is run as number *step*, if any."""
    if step is None:
        yield
        return
    left = step
    main = threading.get_ident()

    def on_line(code: CodeType, _line: int) -> object:
        nonlocal left
        if not code.co_filename.startswith(FUNCTION):
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
