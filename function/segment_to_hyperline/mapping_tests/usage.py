"""Find the rules, and the entries of tables, that the tests of a mapping don't use."""

from typing import Any

from segment_to_hyperline.archive.captured import CapturedEvent
from segment_to_hyperline.mapping.apply import find_rule
from segment_to_hyperline.mapping.expressions import Expression, UnmappableEvent
from segment_to_hyperline.mapping.rules import Rule, Rules


class RulesInUse:
    """Which of *rules* were used, and which entries of their tables.

    From now on, the tables of the *rules* note what is looked up in them.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._listed = list_rules(rules)
        self._used: set[int] = set()
        self._tables = _find_tables(self._listed)
        for name, entries in self._tables.items():
            self._tables[name] = _Entries(entries)

    def add(self, event: CapturedEvent) -> None:
        """Note which rule an *event* uses."""
        if not isinstance(event.event.data, dict):
            return
        try:
            rule = find_rule(self._rules, event.event.data)
        except UnmappableEvent:
            return
        if rule:
            self._used.add(rule.number)

    def unused(self) -> list[str]:
        """Return the names of what was not used, as in `rule 2 (Seats Added)`."""
        rules = [rule for rule in self._listed if rule.number not in self._used]
        entries = [
            f"tables.{name}.{key}"
            for name, table in self._tables.items()
            for key in table
            if key not in table.used
        ]
        return [*map(name_rule, rules), *entries]


class _Entries(dict[str, Any]):
    """A table that notes which of its entries are read."""

    def __init__(self, entries: Any) -> None:
        super().__init__(entries)
        self.used: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.used.add(key)
        return super().__getitem__(key)


def list_rules(rules: Rules) -> list[Rule]:
    """Return each of *rules* once, in the order of the file."""
    found = {
        rule.number: rule
        for candidates in rules.values()
        for same in (*candidates.by_event.values(), candidates.others)
        for rule in same
    }
    return [found[number] for number in sorted(found)]


def name_rule(rule: Rule) -> str:
    """Return a *rule*'s number, and which events it is for."""
    return f"rule {rule.number} ({', '.join(rule.events) or rule.type})"


def _find_tables(rules: list[Rule]) -> dict[str, Any]:
    """Return the tables that all expressions of a file share."""
    for rule in rules:
        fields = rule.billing or ()
        for value in (rule.when, *fields):
            if isinstance(value, Expression):
                return value.tables  # type: ignore[return-value] # tomllib's own
    return {}
