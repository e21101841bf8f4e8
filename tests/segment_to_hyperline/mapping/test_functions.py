"""The functions of expressions: exact results, and a reason for each failure."""

import json
import traceback
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.expressions import UnmappableEvent
from tests.samples import read_rules, track

TABLES = """
[tables.region]
DE = "EU"
"42" = "answer"
"new york" = "US"
"""


def compute(expression: str, text: str = "{}") -> Any:
    """Return the value of *expression* for properties with the JSON *text*."""
    rules = read_rules(f"record = {{ x = {json.dumps(expression)} }}\n{TABLES}")
    (billed,) = apply_rules(rules, track(properties=json.loads(text)))
    record: dict[str, Any] = json.loads(billed.json, parse_float=Decimal)["record"]
    return record["x"]


def reason(expression: str, text: str = "{}") -> str:
    """Return why *expression* can't be computed, without the names before it."""
    with pytest.raises(UnmappableEvent) as error:
        compute(expression, text)
    return str(error.value).partition(f"{expression} ")[2]


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("multiply(`0.1`, `3`)", "0.3"),
        ("multiply(`19.99`, `100`)", "1999"),
        ("multiply(`9007199254740993`, `3`)", "27021597764222979"),
        ("multiply(`-1.5`, `0`)", "0"),
        ("multiply(`1e-7`, `3`)", "3E-7"),
        ("add(`0.1`, `0.2`)", "0.3"),
        ("add(`9007199254740993`, `0`)", "9007199254740993"),
        ("add(`1e20`, `1`)", "100000000000000000001"),
        ("subtract(`0.3`, `0.1`)", "0.2"),
        ("subtract(`1`, `1.0`)", "0"),
        ("divide(`10`, `4`)", "2.5"),
        ("divide(`1`, `3`)", "0.3333333333333333"),
        ("divide(`7200`, `3600`)", "2"),
        ("modulo(`10`, `4`)", "2"),
        ("modulo(`-7`, `3`)", "-1"),
        ("modulo(`0.3`, `0.1`)", "0"),
        ("modulo(`1e300`, `1e-300`)", "0"),
        ("round(`2.5`, `0`)", "3"),
        ("round(`-2.5`, `0`)", "-3"),
        ("round(`2.675`, `2`)", "2.68"),
        ("round(`1.005`, `2`)", "1.01"),
        ("round(`1234`, `-2`)", "1200"),
        ("round(`1e300`, `15`)", str(10**300)),
        (f"divide(`{10**59 + 1}`, `1`)", str(10**59 + 1)),
        ("avg([`1.7e308`, `1.7e308`])", str(17 * 10**307)),
        ("avg([`0.1`, `1e16`])", "5000000000000000"),
        ("sum([`0.1`, `0.2`])", "0.3"),
        ("avg([`0.1`, `0.2`, `0.3`])", "0.2"),
        ("ceil(divide(`3601`, `3600`))", "2"),
        ("multiply(add(`1`, `2`), divide(`1`, `4`))", "0.75"),
    ],
)
def test_arithmetic_is_decimal(expression: str, result: str) -> None:
    """Numbers are computed as they are written, as on an invoice."""
    assert compute(expression) == Decimal(result)


NUMBERS = st.decimals(
    min_value=-(10**9), max_value=10**9, places=4, allow_nan=False
) | st.integers(-(10**15), 10**15)


@given(left=NUMBERS, right=NUMBERS)
def test_sums_and_products_of_usual_numbers_are_exact(left: Any, right: Any) -> None:
    """Up to 15 digits, the result is the one that is computed on paper."""
    text = f'{{"a": {left}, "b": {right}}}'
    exact = Decimal(left) + Decimal(right)
    product = Decimal(left) * Decimal(right)

    if len(exact.as_tuple().digits) <= 15:
        assert compute("add(properties.a, properties.b)", text) == exact
    if len(product.normalize().as_tuple().digits) <= 15:
        assert compute("multiply(properties.a, properties.b)", text) == product


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("split('a,b', ',')[1]", "b"),
        ("split('a', ',')[0]", "a"),
        ("replace('1 234', ' ', '')", "1234"),
        ("lower('TEAM ÄÖ')", "team äö"),
        ("upper('ß')", "SS"),
        ("trim('  a \t')", "a"),
        ("parse_json('{\"seats\": 3}').seats", 3),
        ('parse_json(\'{"seats": 2, "seats": 3}\').seats', 3),
        ("powertools_json('{\"seats\": 3}').seats", 3),
        ("to_number(replace('1,5', ',', '.'))", Decimal("1.5")),
        ('merge(`{"a": 1}`, `{"a": "b"}`).a', "b"),
        ("contains('team', 'ea')", True),
        ("contains(['team'], `3`)", False),
        ("lookup('region', 'DE')", "EU"),
        ("lookup('region', 'new york')", "US"),
        ("lookup('region', `42`)", "answer"),
        ("lookup('region', 'XX', 'other')", "other"),
        ("lookup('region', properties.none, 'other')", "other"),
    ],
)
def test_strings_are_computed(expression: str, result: Any) -> None:
    """They are named as in other extensions of JMESPath."""
    assert compute(expression) == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        (
            "time_difference('2026-01-01T00:00:00Z', '2026-01-01T01:30:00Z', 'hours')",
            1.5,
        ),
        ("time_difference('2026-01-01T01:00:00+01:00', timestamp, 'seconds')", 0.25),
        ("time_difference('2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z', 'days')", -1),
        (
            "time_difference('2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z', 'hours')",
            None,
        ),
        ("date_part('2026-03-01T00:30:00+01:00', 'month')", 2),
        ("date_part('2026-03-01T00:30:00+01:00', 'date')", "2026-02-28"),
        ("date_part('2026-02-11T13:45:59.9Z', 'year')", 2026),
        ("date_part('2026-02-11T13:45:59.9Z', 'day')", 11),
        ("date_part('2026-02-11T13:45:59.9Z', 'hour')", 13),
        ("date_part('2026-02-11T13:45:59.9Z', 'minute')", 45),
        ("date_part('2026-02-11T13:45:59.9Z', 'weekday')", 3),
        ("date_part('2026-02-11T13:45:59.9Z', 'days_in_month')", 28),
        ("date_part('2028-02-29T13:45:59.9Z', 'days_in_month')", 29),
        ("date_part('9999-12-31T13:45:59.9Z', 'days_in_month')", 31),
        ("date_part('2026-12-31T13:45:59.9Z', 'days_in_month')", 31),
    ],
)
def test_times_are_computed_in_utc(expression: str, result: Any) -> None:
    """They are exact, and the same wherever the function runs."""
    rules = read_rules(f'record = {{ x = "{expression}" }}')
    event = track(timestamp="2026-01-01T00:00:00.250Z", receivedAt=None)

    (billed,) = apply_rules(rules, event)

    value = json.loads(billed.json)["record"]["x"]
    assert value == (1 / 3600 if result is None else result)


MISSING = "is missing or null"


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        (
            "multiply(properties.none, `1`)",
            f"fails: multiply(): argument 1 (properties.none) {MISSING}",
        ),
        (
            "add(`1`, properties.none)",
            f"fails: add(): argument 2 (properties.none) {MISSING}",
        ),
        (
            "add(`1`, properties.secret)",
            "fails: add(): argument 2 (properties.secret) is a string, not a number",
        ),
        (
            "subtract(`true`, `1`)",
            "fails: subtract(): argument 1 (`true`) is a boolean, not a number",
        ),
        ("divide(`1`, `0`)", "fails: divide(): argument 2 (`0`) is zero"),
        ("divide(`1`, `0.0`)", "fails: divide(): argument 2 (`0.0`) is zero"),
        ("modulo(`1`, `0`)", "fails: modulo(): argument 2 (`0`) is zero"),
        ("add(`1e308`, `1e308`)", "fails: add(): the result is too large"),
        ("multiply(`1e300`, `1e300`)", "fails: multiply(): the result is too large"),
        (
            "add(properties.infinite, `1`)",
            "fails: add(): argument 1 (properties.infinite) is too large",
        ),
        (
            "add(`1`, properties.infinite)",
            "fails: add(): argument 2 (properties.infinite) is too large",
        ),
        ("sum(properties.numbers)", "fails: sum(): the result is too large"),
        (
            "sum(properties.secret)",
            "fails: sum(): argument 1 (properties.secret) is a string, not an array",
        ),
        ("avg(`[]`)", "is null"),
        (
            "sum(properties.infinities)",
            "fails: sum(): argument 1 (properties.infinities) is too large",
        ),
        (
            f"add(`{'9' * 400}`, `1`)",
            f"fails: add(): argument 1 (`{'9' * 400}`) is too",
        ),
        ("replace(properties.long, 'x', properties.long)", "fails: replace(): the"),
        (
            "lookup('region', `true`, 'x')",
            "fails: lookup(): argument 2 (`true`) is a boolean",
        ),
        (
            "round(`1.5`, `0.5`)",
            "fails: round(): argument 2 (`0.5`) is not a whole number",
        ),
        (
            "round(`1.5`, `16`)",
            "fails: round(): argument 2 (`16`) is not a whole number",
        ),
        ("split(properties.secret, '')", "fails: split(): argument 2 ('') is empty"),
        (
            "split(`1`, 'a')",
            "fails: split(): argument 1 (`1`) is a number, not a string",
        ),
        (
            "replace(properties.secret, '', 'a')",
            "fails: replace(): argument 2 ('') is empty",
        ),
        (
            "replace('a', 'a', `[]`)",
            "fails: replace(): argument 3 (`[]`) is an array, not a",
        ),
        ("lower(`{}`)", "fails: lower(): argument 1 (`{}`) is an object, not a string"),
        (
            "upper(properties.none)",
            f"fails: upper(): argument 1 (properties.none) {MISSING}",
        ),
        (
            "trim(properties.none)",
            f"fails: trim(): argument 1 (properties.none) {MISSING}",
        ),
        (
            "parse_json(properties.secret)",
            "fails: parse_json(): argument 1 (properties.secret) is not JSON",
        ),
        (
            "time_difference(properties.secret, timestamp, 'days')",
            "fails: time_difference(): argument 1 (properties.secret) is not an ISO",
        ),
        (
            "time_difference(timestamp, timestamp, properties.secret)",
            "fails: time_difference(): argument 3 (properties.secret) is not one of",
        ),
        (
            "date_part(timestamp, properties.none)",
            f"fails: date_part(): argument 2 (properties.none) {MISSING}",
        ),
        (
            "lookup('region', properties.secret)",
            "fails: lookup(): argument 2 (properties.secret) has no entry in",
        ),
        (
            "lookup('region', `true`)",
            "fails: lookup(): argument 2 (`true`) is a boolean, not a string",
        ),
        (
            "lookup('region', properties.none)",
            f"fails: lookup(): argument 2 (properties.none) {MISSING}",
        ),
        (
            "starts_with(properties.none, 'test-')",
            f"fails: starts_with(): argument 1 (properties.none) {MISSING}",
        ),
        (
            "starts_with('test-', properties.infinite)",
            "fails: starts_with(): argument 2 (properties.infinite) is a number, not a",
        ),
        (
            "max(properties.mixed)",
            "fails: max(): argument 1 (properties.mixed) contains a number, so it is",
        ),
        (
            "max_by(properties.items, &price)",
            "fails: max_by(): argument 2 (&price) is missing or null",
        ),
        (
            "sort_by(properties.items, &sku)",
            "fails: sort_by(): argument 2 (&sku) is a number, not a string",
        ),
        (
            "contains(properties.secret, `1`)",
            "fails: contains(): argument 2 (`1`) is a number, not a string",
        ),
        (
            "merge(properties, properties.none)",
            f"fails: merge(): argument 2 (properties.none) {MISSING}",
        ),
        (
            "powertools_json(properties.secret)",
            "fails: powertools_json(): argument 1 (properties.secret) is not JSON",
        ),
        (
            "powertools_base64_gzip(properties.b64)",
            "fails: powertools_base64_gzip(): argument 1 (properties.b64) fails with B",
        ),
        (
            "powertools_base64_gzip(properties.cut)",
            "fails: powertools_base64_gzip(): argument 1 (properties.cut) fails with E",
        ),
        (
            "ceil(properties.infinite)",
            "fails: ceil(): argument 1 (properties.infinite) fails with OverflowError",
        ),
        (
            "properties.items[*].{n: lower(sku)}",
            "fails: lower(): argument 1 (sku) is a number, not a string",
        ),
        (
            "add(`1`, lower(properties.none))",
            f"fails: lower(): argument 1 (properties.none) {MISSING}",
        ),
    ],
)
def test_a_reason_names_the_function_and_the_argument(
    expression: str, problem: str
) -> None:
    """It never contains the value, because reasons are logged."""
    text = (
        f'{{"long": "{"x" * 1_000}", "infinities": [1e400, -1e400],'
        ' "mixed": ["a", 1], "items": [{"sku": "jane"}, {"sku": 1}],'
        ' "b64": "AAAA", "cut": "H4sIAAAAAAAC",'
        ' "secret": "jane@example.com", "infinite": 1e400,'
        ' "numbers": [1.7e308, 1.7e308]}'
    )

    shown = reason(expression, text)

    assert shown.startswith(problem)
    assert "jane" not in shown


@pytest.mark.parametrize(
    ("argument", "written"),
    [
        ("properties.items[0].sku", "properties.items[0].sku"),
        ("properties.items[-1:].sku | [0]", "…"),
        ("properties.items[:1].sku", "properties.items[:].sku"),
        ("properties.items[].sku", "properties.items[].sku"),
        ("properties.items[*].sku", "properties.items[*].sku"),
        ("properties.items[?sku].sku", "properties.items[?…].sku"),
        ('properties."a b".c', 'properties."a b".c'),
        ("multiply(properties.n, `2`)", "multiply(…)"),
        ("@", "@"),
        ("properties.a || properties.b", "…"),
    ],
)
def test_a_reason_shows_the_argument_as_it_is_written(
    argument: str, written: str
) -> None:
    """It is the path in the mapping, by which the property is found."""
    text = '{"items": [{"sku": 1}], "a b": {"c": true}, "a": true, "n": 1}'

    shown = reason(f"lower({argument})", text)

    assert shown.startswith(f"fails: lower(): argument 1 ({written}) is a")


@pytest.mark.parametrize(
    "expression", ["add(`1`, {})", "ceil({})", "lookup('region', {})"]
)
def test_the_value_of_an_argument_is_never_logged(expression: str) -> None:
    """The error has it, for the preview; no text that is made from the error does."""
    text = '{"secret": "jane@example.com"}'
    with pytest.raises(UnmappableEvent) as error:
        compute(expression.format("properties.secret"), text)

    cause: Any = error.value
    while cause.__cause__:
        cause = cause.__cause__
    assert cause.value == "jane@example.com"
    assert "jane" not in f"{cause} {cause!r}"
    assert "jane" not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize("name", ["parse_json", "powertools_json"])
@pytest.mark.parametrize(
    "text", ["[" * 100_000, "NaN", "Infinity", "{'a': 1}", "", "1 2", "\ufeff1"]
)
def test_only_json_is_parsed(name: str, text: str) -> None:
    """Python accepts NaN and Infinity, which Hyperline would reject."""
    problem = reason(f"{name}(properties.text).a", json.dumps({"text": text}))

    assert problem.startswith(
        f"fails: {name}(): argument 1 (properties.text) is not JSON"
    )
