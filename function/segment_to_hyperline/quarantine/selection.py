"""Which of the waiting events an action is about."""

import hashlib
import json
from typing import NamedTuple

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.mapping.expressions import (
    Expression,
    UnmappableEvent,
    compile_expression,
)
from segment_to_hyperline.mapping.validation import ExpressionError
from segment_to_hyperline.mapping.work import Work
from segment_to_hyperline.quarantine.waiting import Waiting

_HOUR = 60 * 60


class Selection(NamedTuple):
    """The conditions, all of which a selected event meets; empty ones are met.

    An event meets a condition with several values if it has one of them.
    """

    codes: tuple[str, ...] = ()
    """Codes of the reason."""
    rules: tuple[str, ...] = ()
    """Numbers of rules."""
    events: tuple[str, ...] = ()
    """Names of events."""
    customers: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    """Values of `messageId`."""
    hours: float = 0
    """For how many hours the event has been stored, at least."""
    where: str = ""
    """An expression in JMESPath that is true for the event."""

    def is_empty(self) -> bool:
        """Return whether every event is selected."""
        return not any(self)

    def hash(self) -> str:
        """Return a hash of the conditions, which can have personal data."""
        return hashlib.sha256(json.dumps(self).encode()).hexdigest()

    def compile(self) -> Expression | None:
        """Return the expression, if there is one; raises `InputError`."""
        try:
            return compile_expression("--where", self.where) if self.where else None
        except ExpressionError as error:
            raise InputError(f"--where {self.where}: {error}") from error

    def select(self, events: list[Waiting], now: float) -> list[Waiting]:
        """Return those of *events* that meet the conditions; raises `InputError`."""
        expression = self.compile()
        return [
            event
            for event in events
            if self._is_met(event, now)
            and (expression is None or _is_true(expression, event))
        ]

    def _is_met(self, event: Waiting, now: float) -> bool:
        values = (
            (self.codes, event.code),
            (self.rules, event.rule),
            (self.events, event.event),
            (self.customers, event.customer),
            (self.message_ids, event.message_id),
        )
        age = now - event.message.first_sent_at
        is_old = not self.hours or age >= self.hours * _HOUR
        return is_old and all(not some or value in some for some, value in values)


def _is_true(expression: Expression, event: Waiting) -> bool:
    try:
        return bool(event.fields) and expression.is_true(event.fields, Work())
    except UnmappableEvent:
        return False
