"""How a long comparison says how far it is."""

from collections.abc import Callable

# Called with what is done, how much of it is done, and of how much, which can grow, or
# is 0 if it is unknown.
type Report = Callable[[str, int, int], None]


def ignore_progress(_phase: str, _done: int, _total: int) -> None:
    """Show no progress."""
