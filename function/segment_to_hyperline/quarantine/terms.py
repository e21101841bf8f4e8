"""Which of the selected events may be redriven, and why not the others."""

from collections.abc import Iterable
from typing import NamedTuple

from segment_to_hyperline.quarantine.edits import Edit


class Terms(NamedTuple):
    """The conditions of a redrive."""

    environment: str
    """That of the stack's API key."""
    allows_other: bool
    """Whether events of the other environment are billed, too."""
    is_edited: bool
    """Whether the events are from files that a person can have edited."""
    allows_new_identity: bool
    """Whether messageId and event type can be edited, too."""

    def split(self, edits: Iterable[Edit]) -> tuple[list[Edit], list[str]]:
        """Return those of *edits* that are sent, and why the others aren't."""
        sent: list[Edit] = []
        problems: list[str] = []
        for edit in edits:
            if problem := self.find_problem(edit):
                problems.append(f"{edit.waiting.message_id}: {problem}")
            else:
                sent.append(edit)
        return sent, problems

    def find_problem(self, edit: Edit) -> str:
        """Return why an event isn't sent, or nothing."""
        stored = edit.waiting.message.attributes.environment
        if stored not in {"", self.environment} and not self.allows_other:
            return (
                f"stored for {stored}, and this stack bills in {self.environment}:"
                f" --environment {self.environment} bills it anyway"
            )
        if edit.verdict.outcome == "filtered":
            return f"{edit.outlook}: correct the mapping, or use `purge`"
        if not self.is_edited:
            return ""
        return edit.find_problem(allows_new_identity=self.allows_new_identity)
