"""Check the mapping against what Hyperline counts and invoices.

https://docs.hyperline.co/docs/usage/aggregators
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from segment_to_hyperline.closing.aggregation import (
    describe_filter,
    evaluate,
    takes,
)
from segment_to_hyperline.doctor.examples import MAX_EXAMPLES, Examples, Records
from segment_to_hyperline.doctor.findings import Finding, accept, doubt, reject, warn
from segment_to_hyperline.doctor.installation import Installation
from segment_to_hyperline.doctor.rule_facts import RuleFacts
from segment_to_hyperline.reconciliation.api.core.aggregators import (
    COUNT,
    SUM,
    Aggregator,
    Condition,
)
from segment_to_hyperline.reconciliation.api.core.catalog import Product, Subscription
from segment_to_hyperline.text import format_count

_GIVE_EVENTS = "run `doctor` with EVENTS, examples of your events"


class Production(NamedTuple):
    """What the mapping produces, by its rules and by the examples."""

    rules: Sequence[RuleFacts]
    examples: Examples | None

    @property
    def event_types(self) -> list[str]:
        """The event types that are known."""
        named = {t for rule in self.rules for t in rule.event_types or ()}
        seen = self.examples.records if self.examples else ()
        return sorted({*named, *seen})

    @property
    def is_open(self) -> bool:
        """Whether a rule produces event types that only examples show."""
        return any(rule.event_types is None for rule in self.rules)

    def find_records(self, aggregator: Aggregator) -> Records | None:
        """Return the records that it may count; None without examples of the type."""
        found = self.examples and self.examples.records.get(aggregator.entity)
        if not found or not aggregator.conditions:
            return found or None
        counted = Records()
        for record in found.samples:
            if takes(aggregator, record) is not False:
                counted.add(record)
        return counted

    def find_rules(self, aggregator: Aggregator) -> list[RuleFacts]:
        """Return the rules that say that they produce what it counts."""
        return [rule for rule in self.rules if rule.names(aggregator.entity)]


def read_production(found: Installation) -> Production:
    """Return what the mapping produces; raises `Unread`."""
    facts = found.mapping.facts.get()
    has_events = bool(found.request.events)
    return Production(facts, found.mapping.examples.get() if has_events else None)


def check_examples(found: Installation) -> Iterator[Finding]:
    """What the mapping makes of the examples."""
    if not found.request.events:
        yield doubt("no EVENTS are given", _GIVE_EVENTS)
        return
    outcomes = found.mapping.examples.get().outcomes
    total = outcomes.total()
    counts = ", ".join(f"{number:,} {name}" for name, number in outcomes.items())
    shown = f"{format_count(total, 'event')}: {counts or 'none'}"
    if total == MAX_EXAMPLES:
        shown = f"the first {shown}"
    if not outcomes["billed"]:
        yield reject(shown, "the mapping bills none of them: see `preview`")
    elif outcomes["quarantined"] or outcomes["unreadable"]:
        yield warn(shown, "see `segment-to-hyperline preview` for the reasons")
    else:
        yield accept(shown)


def check_event_types(found: Installation) -> Iterator[Finding]:
    """Whether each event type is counted by an aggregator."""
    production = read_production(found)
    aggregators = found.hyperline.aggregators.get()
    if production.is_open and production.examples is None:
        yield doubt("a rule bills events of any name", _GIVE_EVENTS)
    by_type: dict[str, list[str]] = defaultdict(list)
    for aggregator in aggregators:
        by_type[aggregator.entity].append(aggregator.name)
    similar = {_simplify(aggregator.entity): aggregator for aggregator in aggregators}
    for event_type in production.event_types:
        counting = by_type.get(event_type)
        if counting:
            yield accept(f"'{event_type}' is counted by {', '.join(counting)}")
        else:
            yield _reject_uncounted(event_type, similar.get(_simplify(event_type)))


def _reject_uncounted(event_type: str, similar: Aggregator | None) -> Finding:
    shown = f"no aggregator counts '{event_type}', so it is never invoiced"
    if similar:
        return reject(
            f"{shown}; {similar.name} counts '{similar.entity}'",
            "write the same name in the mapping and in the aggregator",
        )
    return reject(
        shown, "create an aggregator for it in Hyperline, or ignore it in the mapping"
    )


def _simplify(name: str) -> str:
    """Return a *name* without case, spaces and punctuation."""
    return "".join(filter(str.isalnum, name)).casefold()


def check_sums(found: Installation) -> Iterator[Finding]:
    """Whether what aggregators add up is in the records, and a number."""
    production = read_production(found)
    for aggregator in _list_fed(production, found.hyperline.aggregators.get()):
        if aggregator.operation == SUM:
            yield from _check_sum(production, aggregator)
        elif aggregator.operation != COUNT:
            yield doubt(
                f"{aggregator.name} is computed by a formula, whose properties aren't"
                " checked",
                "see its usage in Hyperline after the first events",
            )


def _list_fed(
    production: Production, aggregators: Iterable[Aggregator]
) -> list[Aggregator]:
    known = set(production.event_types)
    return [aggregator for aggregator in aggregators if aggregator.entity in known]


def _check_sum(production: Production, aggregator: Aggregator) -> Iterator[Finding]:
    name, event_type = aggregator.property, aggregator.entity
    shown = f"{aggregator.name} adds up '{name}' of '{event_type}'"
    records = production.find_records(aggregator)
    if name == "id":
        yield reject(f"{shown}, which isn't a number", "correct the aggregator")
    elif records is None:
        yield _check_ruled_sum(shown, name, production.find_rules(aggregator))
    elif records.number:  # otherwise the check of the filters says so
        yield _check_seen_sum(shown, name, records)


def _check_ruled_sum(shown: str, name: str, rules: Sequence[RuleFacts]) -> Finding:
    lacking = [r for r in rules if name not in r.properties and not r.copies_others]
    if lacking:
        return reject(
            f"{shown}, which rule {lacking[0].number} doesn't put into the record",
            "add it to `record` of the rule, or correct the aggregator",
        )
    properties = [rule.properties.get(name) for rule in rules]
    if rules and all(each and each.is_number for each in properties):
        return accept(f"{shown}, which is a number")
    if any(each and each.values and not each.is_number for each in properties):
        return reject(
            f"{shown}, which isn't a number",
            "correct the rule or the aggregator",
        )
    return doubt(f"{shown}; the rules don't say whether it is a number", _GIVE_EVENTS)


def _check_seen_sum(shown: str, name: str, records: Records) -> Finding:
    present = records.present[name]
    numbers = records.kinds[name]["a number"]
    if not present:
        near = [
            other for other in records.present if _simplify(other) == _simplify(name)
        ]
        hint = f"; they have '{near[0]}'" if near else ""
        number = format_count(records.number, "record")
        return reject(
            f"{shown}, which none of {number} has{hint}",
            "correct the mapping or the aggregator",
        )
    if numbers < present:
        kinds = [kind for kind in records.kinds[name] if kind != "a number"]
        return reject(
            f"{shown}, which is {kinds[0]} in {present - numbers:,} of"
            f" {format_count(records.number, 'record')}",
            "use to_number() in the mapping",
        )
    if present < records.number:
        return warn(
            f"{shown}, which {records.number - present:,} of"
            f" {format_count(records.number, 'record')} don't have",
            "these add nothing: correct the mapping, or your events",
        )
    return accept(f"{shown}, a number in {format_count(records.number, 'record')}")


def check_negative(found: Installation) -> Iterator[Finding]:
    """Whether an aggregator gets negative numbers that it doesn't allow."""
    production = read_production(found)
    for aggregator in _list_fed(production, found.hyperline.aggregators.get()):
        if aggregator.operation == SUM and not aggregator.allows_negative:
            yield from _check_negative(production, aggregator)


def _check_negative(
    production: Production, aggregator: Aggregator
) -> Iterator[Finding]:
    name = aggregator.property
    shown = f"{aggregator.name} allows no negative values, and '{name}'"
    remedy = "allow them in the aggregator, or correct the mapping"
    if records := production.find_records(aggregator):
        if records.least.get(name, 0) < 0:
            yield reject(f"{shown} is {records.least[name]:g} in a record", remedy)
        return
    properties = [r.properties.get(name) for r in production.find_rules(aggregator)]
    values = [v for each in properties if each for v in each.values or ()]
    negative = [v for v in values if type(v) in (int, float) and v < 0]
    if negative and len(negative) == len(values):
        yield reject(f"{shown} is {min(negative):g}", remedy)
    elif negative:
        yield warn(f"{shown} can be {min(negative):g}", remedy)
    elif not all(each and each.values for each in properties) or not properties:
        yield doubt(f"{shown} may be negative", _GIVE_EVENTS)


def check_filters(found: Installation) -> Iterator[Finding]:
    """Whether the filters of aggregators take events."""
    production = read_production(found)
    for aggregator in _list_fed(production, found.hyperline.aggregators.get()):
        if aggregator.conditions:
            yield _check_filter(production, aggregator)


def _check_filter(production: Production, aggregator: Aggregator) -> Finding:
    shown = f"{aggregator.name} counts those with {describe_filter(aggregator)}"
    records = production.examples and production.examples.records
    remedy = "correct the filter in Hyperline, or the mapping"
    if records and aggregator.entity in records:
        return _check_seen_filter(shown, aggregator, records[aggregator.entity])
    rules = production.find_rules(aggregator)
    truths = [_find_truth(aggregator, rule) for rule in rules]
    if truths and all(truth is False for truth in truths):
        return reject(f"{shown}, which no rule produces", remedy)
    if truths and all(truths):
        return accept(shown)
    return doubt(f"{shown}; the rules don't say whether they do", _GIVE_EVENTS)


def _check_seen_filter(shown: str, aggregator: Aggregator, records: Records) -> Finding:
    truths = [takes(aggregator, record) for record in records.samples]
    number = truths.count(True)
    if number:
        return accept(f"{shown}: {number:,} of {format_count(len(truths), 'record')}")
    if None in truths:
        return doubt(
            f"{shown}, which can't be evaluated here", "see the usage in Hyperline"
        )
    missing = [
        condition.property
        for condition in aggregator.conditions
        if not records.present[condition.property]
    ]
    shown = f"{shown}: none of {format_count(len(truths), 'record')}"
    remedy = "correct the filter in Hyperline, or the mapping"
    if missing:
        return reject(f"{shown}; none has '{missing[0]}'", remedy)
    if records.number > len(truths):
        return doubt(f"{shown}, which are the first ones", "use other EVENTS")
    return warn(shown, f"{remedy}, if the aggregator should count these examples")


def _find_truth(aggregator: Aggregator, rule: RuleFacts) -> bool | None:
    """Return whether the filter takes what a rule produces; None if that depends."""
    truths = [_find_condition_truth(c, rule) for c in aggregator.conditions]
    decisive = aggregator.is_any
    if decisive in truths:
        return decisive
    return None if None in truths else not decisive


def _find_condition_truth(condition: Condition, rule: RuleFacts) -> bool | None:
    found = rule.properties.get(condition.property)
    if found is None:
        return None if rule.copies_others else evaluate(condition, {})
    values: Iterable[Any] = found.values or ()
    truths = {evaluate(condition, {condition.property: value}) for value in values}
    return truths.pop() if len(truths) == 1 else None


def check_unfed(found: Installation) -> Iterator[Finding]:
    """Whether the mapping produces what each aggregator counts."""
    production = read_production(found)
    aggregators = found.hyperline.aggregators.get()
    known = set(production.event_types)
    unfed = [aggregator for aggregator in aggregators if aggregator.entity not in known]
    if unfed and production.is_open and production.examples is None:
        yield doubt(
            f"whether the mapping feeds {', '.join(a.name for a in unfed)}",
            _GIVE_EVENTS,
        )
        return
    what = "no example is" if production.is_open else "no rule produces"
    for aggregator in unfed:
        if not aggregator.entity:
            yield doubt(f"{aggregator.name} has no event type", "see it in Hyperline")
            continue
        yield warn(
            f"{what} '{aggregator.entity}', which {aggregator.name} counts",
            "add a rule, unless something else sends these events to Hyperline",
        )
    if not unfed:
        number = format_count(len(aggregators), "aggregator")
        yield accept(f"{number}, and the mapping feeds each")


def check_invoiced(found: Installation) -> Iterator[Finding]:
    """Whether a product of an active subscription invoices what is counted."""
    production = read_production(found)
    fed = _list_fed(production, found.hyperline.aggregators.get())
    products = found.hyperline.products.get()
    if fed and not products:
        yield reject(
            "there are no products, so nothing is invoiced",
            "add a product with an aggregator in Hyperline",
        )
        return
    if all(product.aggregators is None for product in products):
        if fed:
            yield doubt(
                "Hyperline doesn't show which product uses which aggregator",
                "see whether each aggregator has a price in your products",
            )
        return
    subscriptions = found.hyperline.subscriptions.get()
    for aggregator in fed:
        yield _check_invoiced(aggregator, products, subscriptions)


def _check_invoiced(
    aggregator: Aggregator,
    products: Sequence[Product],
    subscriptions: Sequence[Subscription],
) -> Finding:
    own = {p.id for p in products if aggregator.id in (p.aggregators or ())}
    if not own and any(product.aggregators is None for product in products):
        return doubt(
            f"Hyperline doesn't show whether a product uses {aggregator.name}",
            "see whether it has a price in your products",
        )
    if not own:
        return reject(
            f"no product uses {aggregator.name}, so it is never invoiced",
            "add a product with this aggregator in Hyperline",
        )
    states = {s.is_active for s in subscriptions if not own.isdisjoint(s.products)}
    if True in states:
        return accept(f"{aggregator.name} is invoiced by {', '.join(sorted(own))}")
    if None in states:
        return doubt(
            f"the subscriptions with a product that uses {aggregator.name} have a"
            " status that isn't known here",
            "see in Hyperline whether they are active",
        )
    return reject(
        f"no active subscription has a product that uses {aggregator.name}",
        "subscribe your customers to it in Hyperline",
    )
