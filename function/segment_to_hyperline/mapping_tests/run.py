"""Run the tests of the mapping, and show how a result differs from the expected one."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from segment_to_hyperline.hyperline.billable_event import Fields
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.mapping_tests.file import MappingTest
from segment_to_hyperline.mapping_tests.usage import RulesInUse
from segment_to_hyperline.preview.verdict import Verdict, judge
from segment_to_hyperline.text import format_count


class Result(NamedTuple):
    """What became of a test."""

    test: MappingTest
    diff: list[str]
    """What was expected (`-`) and is not so (`+`); empty if the test passes."""


class Report(NamedTuple):
    """What became of all tests."""

    results: list[Result]
    unused: list[str]
    """The rules and the entries of tables that no test uses."""

    @property
    def failed(self) -> list[Result]:
        """Return the results of the tests that fail."""
        return [result for result in self.results if result.diff]

    @property
    def title(self) -> str:
        """Return how many tests pass and fail."""
        failed = len(self.failed)
        passed = format_count(len(self.results) - failed, "test")
        return f"{passed} passed, {failed} failed"

    def lines(self) -> Iterator[str]:
        """Yield the report for people."""
        for test, diff in self.results:
            yield f"{'FAILED' if diff else 'ok':<6}  {test.name}"
            yield from (f"        {line}" for line in diff)
        yield f"\n{self.title}" if self.results else "The mapping has no tests"
        if self.results and self.unused:
            yield "\nnot tested:"
            yield from (f"  {name}" for name in self.unused)

    def to_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        results = [
            {"name": test.name, "line": test.line, "passed": not diff, "diff": diff}
            for test, diff in self.results
        ]
        return {"title": self.title, "tests": results, "not_tested": self.unused}


def run_tests(rules: Rules, tests: list[MappingTest]) -> Report:
    """Return what becomes of *tests* with the *rules*."""
    in_use = RulesInUse(rules)
    results = []
    for test in tests:
        in_use.add(test.event)
        results.append(Result(test, list(_compare(test, judge(rules, test.event)))))
    return Report(results, in_use.unused())


def _compare(test: MappingTest, verdict: Verdict) -> Iterator[str]:
    if verdict.outcome != test.outcome or test.reason not in verdict.reason:
        yield f"- {test.outcome}{test.reason and f': {test.reason}'}"
        yield f"+ {_describe(verdict)}"
        return
    billed = [billable.fields() for billable in verdict.billable]
    if len(billed) != len(test.billed):
        yield f"- {format_count(len(test.billed), 'billable event')}"
        yield f"+ {format_count(len(billed), 'billable event')}"
    pairs = zip(test.billed, billed, strict=False)
    for number, (expected, fields) in enumerate(pairs, start=1):
        place = f"billable event {number}: " if len(test.billed) > 1 else ""
        yield from _compare_fields(expected, fields, place)


def _describe(verdict: Verdict) -> str:
    texts = [verdict.outcome, verdict.reason, verdict.value]
    texts += [
        ", ".join(f"{name} = {value}" for name, value in _flatten(b.fields()).items())
        for b in verdict.billable
    ]
    return ": ".join(filter(None, texts))


def _compare_fields(
    expected: dict[str, Any], fields: Fields, place: str
) -> Iterator[str]:
    """Yield the expected fields that are different; a record is compared as a whole."""
    wanted, found = _flatten(expected), _flatten(fields)
    others = [
        name
        for name in found
        if "record" in expected and name.startswith("record.") and name != "record.id"
    ]
    for name in dict.fromkeys((*wanted, *others)):
        if wanted.get(name) != found.get(name):
            if name in wanted:
                yield f"- {place}{name} = {wanted[name]}"
            if name in found:
                yield f"+ {place}{name} = {found[name]}"


def _flatten(fields: Any) -> dict[str, str]:
    """Return each field, and each property of the record, as JSON."""
    record = {f"record.{k}": v for k, v in fields.get("record", {}).items()}
    flat = {k: v for k, v in fields.items() if k != "record"} | record
    return {name: _write(value) for name, value in flat.items()}


def _write(value: Any) -> str:
    """Return *value* as JSON, in which 3.0 is 3, and true is not 1."""
    if isinstance(value, list):
        return f"[{', '.join(map(_write, value))}]"
    is_whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if is_whole else value, ensure_ascii=False)
