"""Watch the expressions of a mapping while it is applied, for what can't be meant.

A name that is always null is misspelled, or a string without its quotes. A number and a
string are never equal.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import jmespath

from segment_to_hyperline.mapping.expressions import Expression
from segment_to_hyperline.mapping.functions import Functions
from segment_to_hyperline.mapping.nodes import (
    find_dotted_name,
    needs_quotes,
    write_literal,
    write_node,
)
from segment_to_hyperline.mapping.rules import Billing, Candidates, Rule, Rules
from segment_to_hyperline.mapping.values import describe_kind
from segment_to_hyperline.mapping.work import CountingInterpreter, Work

_OPERATORS = {"eq": "==", "ne": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
# Null is a usual argument of these functions.
_ACCEPT_NULL = {"not_null", "type", "to_array"}


class Watch:
    """Watches the expressions of *rules* while its own `rules` are applied."""

    def __init__(self, rules: Rules) -> None:
        self._watched: list[_Watched] = []
        self._rules: dict[int, Rule] = {}
        self.rules: Rules = {
            kind: Candidates(
                {name: self._replace(same) for name, same in found.by_event.items()},
                self._replace(found.others),
            )
            for kind, found in rules.items()
        }

    def counts(self) -> Counter[str]:
        """Return what can't be meant, and how often it was seen."""
        return Counter(
            {
                f"{watched.where}: {problem}": number
                for watched in self._watched
                for problem, number in watched.tracer.problems()
            }
        )

    def _replace(self, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        for rule in rules:
            if rule.number not in self._rules:
                self._rules[rule.number] = self._watch_rule(rule)
        return tuple(self._rules[rule.number] for rule in rules)

    def _watch_rule(self, rule: Rule) -> Rule:
        billing = rule.billing and self._watch_billing(rule.billing, rule)
        return rule._replace(when=self._watch(rule.when, rule), billing=billing)

    def _watch_billing(self, billing: Billing, rule: Rule) -> Billing:
        record = {n: self._watch(e, rule) for n, e in billing.record.items()}
        fields: dict[str, Any] = {
            name: self._watch(value, rule)
            for name, value in billing._asdict().items()
            if isinstance(value, Expression)
        }
        return billing._replace(**fields, record=record)

    def _watch[E: Expression | None](self, expression: E, rule: Rule) -> E:
        """Return *expression*, watched unless a missing value is reported anyway."""
        if expression is None or (expression.path and expression.field != "when"):
            return expression
        watched = _Watched(expression, rule)
        self._watched.append(watched)
        return expression._replace(find=watched.find)


class _Watched:
    """An expression that is traced for each event to which it is applied."""

    def __init__(self, expression: Expression, rule: Rule) -> None:
        name = f" ({rule.events[0]})" if len(rule.events) == 1 else ""
        self.where = f"rule {rule.number}{name}: {expression.field}"
        self.tracer = _Tracer(Functions(expression.tables))
        self._is_condition = expression.field == "when"
        self._find = expression.find
        self._node: Any = jmespath.compile(expression.text).parsed
        self._event: Any = None

    def find(self, event: dict[str, Any], work: Work) -> Any:
        """Return the value for *event*, which is traced once."""
        if event is not self._event:
            self._event = event
            # What fails here also fails below, with the reason.
            with suppress(Exception):
                self.tracer.trace(self._node, event, is_condition=self._is_condition)
        return self._find(event, work)


class _Tracer(CountingInterpreter):
    """Evaluates expressions, and notes which names are null and what is compared."""

    def __init__(self, functions: Functions) -> None:
        super().__init__(functions)
        self._reads = Counter[str]()
        self._found: set[str] = set()
        self._hints: dict[str, str] = {}
        self._mixed = Counter[str]()

    def trace(self, node: Any, event: dict[str, Any], *, is_condition: bool) -> None:
        """Evaluate *node* for *event*; raises what the evaluation raises."""
        value = self.search(node, event, Work())
        if is_condition:
            self._note(node, event, value)

    def problems(self) -> Iterator[tuple[str, int]]:
        """Yield what can't be meant, and how often it was seen."""
        for name, number in self._reads.items():
            if name not in self._found:
                yield f"{name} is always null; {self._hints[name]}", number
        for compared, number in self._mixed.items():
            yield f"{compared}, which are never equal and have no order", number

    def visit_comparator(self, node: Any, value: Any) -> Any:
        """Return the result of a comparison."""
        values = [self._visit_and_note(child, value) for child in node["children"]]
        kinds = list(map(describe_kind, values))
        if None not in values and kinds[0] != kinds[1]:
            left, right = map(write_node, node["children"])
            compared = f"{left} {_OPERATORS[node['value']]} {right}"
            self._mixed[f"{compared} compares {kinds[0]} with {kinds[1]}"] += 1
        return super().visit_comparator(_replace_children(node, values), value)

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        """Return the result of a function."""
        accepts_null = node["value"] in _ACCEPT_NULL
        visit = self.visit if accepts_null else self._visit_and_note
        values = [visit(child, value) for child in node["children"]]
        return super().visit_function_expression(_replace_children(node, values), value)

    def visit_field(self, node: Any, value: Any) -> Any:
        """Return the value of a field; in quotes, it can be meant as a string."""
        found = super().visit_field(node, value)
        if needs_quotes(node["value"]):
            hint = f"for the string write {write_literal(node['value'])}"
            self._count(write_node(node), found, hint)
        return found

    def visit_subexpression(self, node: Any, value: Any) -> Any:
        """Return the value at the end of a path, whose names are fields in any case."""
        for child in node["children"]:
            is_field = child["type"] == "field"
            visit = super().visit_field if is_field else self.visit
            value = visit(child, value)
        return value

    def _visit_and_note(self, node: Any, value: Any) -> Any:
        found = self.visit(node, value)
        self._note(node, value, found)
        return found

    def _note(self, node: Any, value: Any, found: Any) -> None:
        """Note the value *found* at a path in *value*."""
        match node:
            case {"type": "field", "value": name}:
                if not needs_quotes(name):
                    self._count(name, found, "check the name")
            case {"type": "index_expression"}:
                self._count(write_node(node), found, "check the name")
            case {"type": "subexpression", "children": steps}:
                names = [step["value"] for step in steps if step["type"] == "field"]
                dotted = find_dotted_name(names, value) * (len(names) == len(steps))
                hint = f"there is {dotted}: quote that name" if dotted else ""
                self._count(write_node(node), found, hint or "check the name")

    def _count(self, name: str, found: Any, hint: str) -> None:
        self._reads[name] += 1
        self._hints[name] = hint
        if found is not None:
            self._found.add(name)


def _replace_children(node: Any, values: list[Any]) -> Any:
    """Return *node* with literals as its children, which are not evaluated again."""
    literals = [{"type": "literal", "value": v, "children": []} for v in values]
    return {**node, "children": literals}
