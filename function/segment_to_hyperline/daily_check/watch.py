"""Stop a comparison that can't be finished before Lambda ends the function."""

from segment_to_hyperline.daily_check.day import Day
from segment_to_hyperline.daily_check.time_needed import (
    RESERVE_SECONDS,
    TooManyEvents,
    estimate_seconds,
    explain_too_many,
)
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.reconciliation.api.failures import HyperlineUnavailable
from segment_to_hyperline.reconciliation.expected.store import Store


class Watch:
    """Knows how much time is left for a *day*, whose events are in *store*.

    *command* is what compares it elsewhere.
    """

    def __init__(
        self, day: Day, store: Store, deadline: Deadline, command: str
    ) -> None:
        self.store = store
        self._day = day
        self._deadline = deadline.earlier(RESERVE_SECONDS)
        self._command = command

    def report_loading(self, _phase: str, done: int, total: int) -> None:
        """Raise `TooManyEvents` if there is no time left to read the rest."""
        if self._deadline.left() < 0:
            read = self._count()
            self._fail(f"about {round(read * total / done) if done else read:,}")

    def require_time(self) -> None:
        """Raise `TooManyEvents` if the comparison would take more than what is left."""
        number = self._count()
        seconds = estimate_seconds(number, len(self.store.customers()))
        if seconds > self._deadline.left():
            self._fail(f"{number:,}")

    def report_comparing(self, _phase: str, _done: int, _total: int) -> None:
        """Raise `TooManyEvents` if Hyperline was slower than expected."""
        if self._deadline.left() < 0:
            self._fail(f"{self._count():,}")

    def report_wait(self, reason: str, seconds: float) -> None:
        """Raise `HyperlineUnavailable` if there is no time left for a retry."""
        if self._deadline.left() < seconds:
            raise HyperlineUnavailable(
                f"Hyperline could not be read in Lambda's 15 minutes: {reason}; run"
                f" this later: {self._command}"
            )

    def _count(self) -> int:
        return self.store.count_in(self._day.start, self._day.end)

    def _fail(self, number: str) -> None:
        raise TooManyEvents(explain_too_many(number, self._command))
