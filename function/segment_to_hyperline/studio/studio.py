"""What the page shows and does: evaluate the mapping, and save it."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from segment_to_hyperline.archive.captured import CapturedEvent
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.elements import Element
from segment_to_hyperline.mapping.file import parse_rules
from segment_to_hyperline.mapping.mistakes import MappingFileError
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.mapping_tests.check import find_tests
from segment_to_hyperline.mapping_tests.file import (
    MappingTestsError,
    load_tests,
    parse_tests,
)
from segment_to_hyperline.mapping_tests.run import run_tests
from segment_to_hyperline.mapping_tests.writing import write_test
from segment_to_hyperline.preview.mapping_diff import MappingDiff
from segment_to_hyperline.preview.verdict import Summary, Verdict, judge
from segment_to_hyperline.studio.events import Events, Kept
from segment_to_hyperline.studio.explanation import explain
from segment_to_hyperline.studio.files import (
    find_version,
    hash_content,
    read_bytes,
    read_text,
    write_text,
)
from segment_to_hyperline.studio.personal import replace_personal
from segment_to_hyperline.studio.reference import create_reference

_MAX_ROWS = 100
# After how many events an evaluation checks whether it is still needed.
_BATCH = 50


class Studio:
    """The mapping of a file, and events to show it for. Threads can share it."""

    def __init__(self, mapping: Path) -> None:
        self.mapping = mapping
        self.tests = find_tests(mapping)
        self.events = Events()
        self._saving = Lock()
        self._before: tuple[str, int, list[Verdict]] = ("", -1, [])

    def describe(self) -> dict[str, Any]:
        """Return what the page begins with."""
        text, version = read_text(self.mapping)
        return {
            "name": str(self.mapping),
            "text": text,
            "version": version,
            "reference": create_reference(),
        }

    def explain(self, text: str, index: int) -> dict[str, Any]:
        """Return what the mapping in *text* makes of an event; or the mistake.

        It has the version of the events, because another page can change them. If
        there is no such event, it has nothing else.
        """
        kept = self.events.kept
        found: dict[str, Any] = {"events": kept.version}
        if index >= len(kept.items):
            return found
        try:
            rules = self._parse(text)
        except MappingFileError as error:
            return found | _describe_mistake(error)
        return found | explain(rules, kept.items[index])

    def evaluate(self, text: str, is_needed: Callable[[], bool]) -> dict[str, Any]:
        """Return what the mapping in *text* makes of all events; or the mistake.

        It is empty if the evaluation is no longer needed.
        """
        kept = self.events.kept
        try:
            after = self._parse(text)
        except MappingFileError as error:
            return _describe_mistake(error)
        before, version = self._load_saved()
        diff = MappingDiff(before or after, after)
        new = _judge_all(diff.after.rules, kept, is_needed)
        old = self._judge_saved(before, version, kept, is_needed) if before else new
        if old is None or new is None:
            return {}
        for item, was, will_be in zip(kept.items, old, new, strict=True):
            diff.add(item, was, will_be)
        return {
            "events": kept.version,
            "marks": "".join(verdict.outcome[0] for verdict in new),
            "summary": _describe_summary(diff.after),
            "difference": (
                _describe_difference(diff) if before else {"problem": version}
            ),
            "tests": self._run_tests(after),
        }

    def save(self, text: str, version: str, *, force: bool) -> dict[str, Any]:
        """Write the mapping, unless the file is no longer of this *version*."""
        with self._saving:
            present = find_version(self.mapping)
            if present == hash_content(text.encode()):
                return {"version": present}  # by an earlier request of this page
            if not force and present != version:
                return {"changed": True}
            write_text(self.mapping, text)
            return {"version": find_version(self.mapping)}

    def propose_test(self, text: str, index: int, name: str) -> dict[str, Any]:
        """Return a test of an event in TOML, with its personal fields replaced.

        It has the version of the events, as that of `explain`.
        """
        kept = self.events.kept
        found: dict[str, Any] = {"events": kept.version}
        if index >= len(kept.items):
            return found
        return found | self._propose_test(text, kept.items[index], name)

    def _propose_test(
        self, text: str, item: CapturedEvent, name: str
    ) -> dict[str, Any]:
        event = item.event.data
        if not isinstance(event, dict):
            return {"problem": "this is not an event"}
        try:
            rules = self._parse(text)
        except MappingFileError as error:
            return _describe_mistake(error)
        event, replaced = replace_personal(event)
        verdict = judge(rules, CapturedEvent(1, Element(event, "")))
        outcome = judge(rules, item).outcome
        problem = (
            f"with its personal fields replaced, the event is {verdict.outcome} and not"
            f" {outcome}; correct the test before you save it"
        )
        return {
            "toml": write_test(name, event, verdict),
            "replaced": replaced,
            "problem": "" if verdict.outcome == outcome else problem,
        }

    def save_test(self, toml: str) -> dict[str, Any]:
        """Add a test to the file with the tests, if all of it is then valid."""
        with self._saving:
            present = read_text(self.tests)[0] if self.tests.exists() else ""
            joined = f"{present.rstrip()}\n\n{toml.strip()}\n".lstrip()
            try:
                parse_tests(joined.encode(), self.tests)
            except MappingTestsError as error:
                return {"problem": str(error)}
            write_text(self.tests, joined)
        return {"name": self.tests.name}

    def _parse(self, text: str) -> Rules:
        return parse_rules(text.encode(), self.mapping.name)

    def _load_saved(self) -> tuple[Rules | None, str]:
        """Return the saved rules and their version, or why they can't be compared."""
        try:
            # Read once: an editor can save the file at any moment.
            content, version = read_bytes(self.mapping)
            return parse_rules(content, self.mapping.name), version
        except MappingFileError as error:
            return None, f"the saved mapping is invalid: {error}"
        except InputError as error:
            return None, str(error)

    def _judge_saved(
        self, rules: Rules, version: str, kept: Kept, is_needed: Callable[[], bool]
    ) -> list[Verdict] | None:
        """Return the verdicts of the saved mapping, which no edit changes."""
        before = self._before  # another thread can replace it
        if before[:2] == (version, kept.version):
            return before[2]
        verdicts = _judge_all(rules, kept, is_needed)
        if verdicts is not None:
            self._before = (version, kept.version, verdicts)
        return verdicts

    def _run_tests(self, rules: Rules) -> dict[str, Any]:
        try:
            tests = load_tests(self.tests)
        except MappingTestsError as error:
            return {"problem": str(error)}
        return run_tests(rules, tests).to_json()


def _judge_all(
    rules: Rules, kept: Kept, is_needed: Callable[[], bool]
) -> list[Verdict] | None:
    """Return the verdicts on all events, or None if they are no longer needed."""
    verdicts = []
    for number, item in enumerate(kept.items):
        if number % _BATCH == 0 and not is_needed():
            return None
        verdicts.append(judge(rules, item))
    return verdicts


def _describe_mistake(error: MappingFileError) -> dict[str, Any]:
    return {"mistake": {"line": error.line or 1, "text": str(error)}}


def _describe_summary(summary: Summary) -> dict[str, Any]:
    usage = sorted(
        ((group, summary.usage[group]) for group in summary.usage),
        key=lambda pair: -pair[1].events,
    )
    return {
        "outcomes": summary.outcomes,
        "usage": [
            [*group, f"{used.events:,}", used.list_totals()]
            for group, used in usage[:_MAX_ROWS]
        ],
        "more": max(0, len(usage) - _MAX_ROWS),
        "filtered": _list(summary.filtered),
        "quarantined": [
            [*row, ", ".join(sorted(summary.values.get(row[1], ())))]
            for row in _list(summary.reasons)
        ],
        "warnings": _list(summary.warnings),
    }


def _list(counts: Counter[str]) -> list[list[Any]]:
    rows = [[f"{number:,}", name] for name, number in counts.most_common(_MAX_ROWS)]
    more = len(counts) - len(rows)
    return [*rows, *([["", f"and {more:,} more"]] if more else [])]


def _describe_difference(diff: MappingDiff) -> dict[str, Any]:
    rows = list(diff.list_changes())
    return {
        "changes": diff.changes,
        "rows": rows[:_MAX_ROWS],
        "more": max(0, len(rows) - _MAX_ROWS),
        "risks": [risk.to_json() for risk in diff.risks()],
    }
