"""Which of the selected events may be redriven, and why not the others."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from segment_to_hyperline.hyperline.billable_event import Key
from segment_to_hyperline.quarantine.edits import Edit
from segment_to_hyperline.quarantine.waiting import Waiting

_RIVAL = (
    "another event in the files or in Quarantine has the same event_type and record.id,"
    " and Hyperline would keep only one of them"
)


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

    def split(
        self, edits: Sequence[Edit], waiting: Iterable[Waiting] = ()
    ) -> tuple[list[Edit], list[str]]:
        """Return those of *edits* that are sent, and why the others aren't.

        *waiting* has the events in Quarantine.
        """
        sent: list[Edit] = []
        problems: list[str] = []
        copies = Counter(edit.waiting.place for edit in edits)
        left = (Edit.unchanged(each) for each in waiting if each.place not in copies)
        rivals = _find_rivals([*edits, *left])
        for edit in edits:
            problem = self.find_problem(edit)
            if copies[edit.waiting.place] > 1:
                problem = "it is in two files: remove one of them"
            elif edit.is_changed and rivals.intersection(edit.keys):
                problem = problem or _RIVAL
            if problem:
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


def _find_rivals(edits: Iterable[Edit]) -> set[Key]:
    """Return the keys under which different events, or versions, would be billed."""
    found: dict[Key, set[tuple[str, bytes]]] = defaultdict(set)
    for edit in edits:
        before = edit.waiting
        # An event without a messageId can only be recognized by all of its text.
        name = str(before.fields.get("messageId") or before.element.text)
        for billable in edit.verdict.billable:
            found[billable.key].add((name, billable.json))
    return {key for key, contents in found.items() if len(contents) > 1}
