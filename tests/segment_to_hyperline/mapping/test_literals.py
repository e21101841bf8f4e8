"""Literals that JMESPath reads as the names of fields, and fields that are valid."""

import re
import tomllib
from pathlib import Path

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_to_hyperline.mapping.expressions import compile_expression
from segment_to_hyperline.mapping.literals import check_literals
from segment_to_hyperline.mapping.validation import ExpressionError

# jmespath.py warns of a string in backticks without double quotes.
pytestmark = pytest.mark.filterwarnings("ignore:deprecated string literal syntax")

ROOT = Path(__file__).parents[3]
# Where an operand can be: at the top level, in filters, lists, arguments and groups.
PLACES = [
    "{}",
    "properties.items[?{}]",
    "properties.items[?a && ({})].n",
    "sum(properties.orders[].items[?{}].n)",
    "properties.orders[?items[?{}]]",
    "properties.items[*].[n, {}]",
    "properties.items[*].{{n: n, m: {}}}",
    "max_by(properties.items, &({}))",
    "properties.items | [?!({})] | [0]",
]
# Each with what to write instead.
MISTAKES = [
    ("properties.active == true", "write `true`"),
    ("properties.active != false", "write `false`"),
    ("null == properties.active", "write `null`"),
    ("properties.seats > null", "write `null`"),
    ("properties.active == True", "write `true`"),
    ("properties.active == None", "write `null`"),
    ("properties.active != undefined", "write `null`"),
    ("properties.active == (true)", "write `true`"),
    ("properties.active && true", "write `true`"),
    ("properties.active || false", "write `false`"),
    ("not_null(properties.active, false)", "write `false`"),
    ("properties.active == `True`", "write `true`"),
    ("properties.active == `None`", "write `null`"),
    ('properties.type == "seat"', "write 'seat', and for the field seat"),
    ('"seat" != properties.type', "write 'seat', and for the field seat"),
    ('properties.type == (("seat"))', "write 'seat', and for the field seat"),
    ('properties.type==\t"seat"', "write 'seat', and for the field seat"),
    ('properties.type <= "seat"', "write 'seat', and for the field seat"),
    ('contains(properties.types, "seat")', "write 'seat', and for the field seat"),
    ('contains("seat", properties.type)', "write 'seat', and for the field seat"),
    ('lower( ("seat") )', "write 'seat', and for the field seat"),
    ('contains(["a", "seat"], properties.type)', "write 'a', and for the field a"),
    ('properties.type || "seat"', "write 'seat', and for the field seat"),
    ('properties.active == "true"', "write 'true', and for the JSON value `true`"),
    ('properties.type != ""', "write ''"),
    ('properties.seats == "5"', "write '5', for the number `5`, or @.\"5\""),
    ('properties.price > "-1.5"', "write '-1.5', for the number `-1.5`, or @"),
]
VALID = [
    "properties.active == `true`",
    "properties.active == 'true'",
    'properties.active == `"True"`',
    "properties.seats > properties.limit",
    'properties."seats" == properties."limit"',
    'properties."true" == properties.null',
    'properties.type == "pro-plan"',
    'properties.type == "Pro Plan"',
    'properties.type == "seat".name',
    'properties.type == "seats"[0]',
    "properties.true.name == `1`",
    'properties.["seats", "plan"]',
    'properties.{"seats": "seats", true: plan}',
    'max_by(properties.items, &"price").n',
    'properties.items[?"active"] && properties.n',
    'properties.a | ["seats", "plan"]',
    'contains([["pro-plan"]], "pro-plan")',
    "contains('true', properties.a) || 'null' == name",
    'properties.items[?"active" && kind] | @.n',
    'properties.items[?("active")].n',
    '(("active")) && !("paid")',
    'properties.items | "first" | @',
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("mistake", "advice"), MISTAKES)
def test_a_literal_without_its_quotes_is_rejected(
    place: str, mistake: str, advice: str
) -> None:
    """It would be a field that is always null, so that the condition never holds."""
    text = place.format(mistake)

    assert jmespath.compile(text)
    with pytest.raises(ExpressionError, match=re.escape(advice)):
        compile_expression("record.n", text)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("expression", VALID)
def test_a_field_is_not_taken_for_a_literal(place: str, expression: str) -> None:
    """Two fields can be compared, and a name can be quoted in a path."""
    text = place.format(expression)

    assert jmespath.compile(text)
    check_literals(text)


def _list_documented() -> list[str]:
    """Return the expressions of the recipes, and the code in docs/mapping.md."""
    recipes = tomllib.loads((ROOT / "docs/recipes.toml").read_text("utf-8"))
    fields = [rule | rule.get("record", {}) for rule in recipes["rules"]]
    texts = [
        value
        for rule in fields
        for name, value in rule.items()
        if isinstance(value, str) and name not in {"type", "event"}
    ]
    page = (ROOT / "docs/mapping.md").read_text("utf-8")
    for code in re.findall(r"``(.+?)``|`([^`\n]+)`", page):
        texts += re.findall(r'= "([^"]+)"', "".join(code))
    return texts


@pytest.mark.parametrize("text", _list_documented())
def test_every_documented_expression_is_accepted(text: str) -> None:
    """The check must not reject what the documentation recommends."""
    check_literals(text)


NAMES = st.sampled_from(["seats", "plan", "item", "type", "True_", "nullable"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(".".join) | st.just(
    'properties."pro-plan"'
)
WORDS = ["true", "seat", "null", "", "5", "a b", "None", '"x"']
LITERALS = st.sampled_from([f"'{word}'" for word in WORDS]) | st.sampled_from(
    ["`true`", "`null`", "`5`", '`"seat"`', "`[]`", '`{"true": "seat"}`']
)


def _combine(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["==", "!=", "<", "&&", "||", "|"])
    functions = st.sampled_from(["not_null", "contains", "add"])
    return (
        st.builds("{} {} {}".format, parts, operators, parts)
        | st.builds("{}({}, {})".format, functions, parts, parts)
        | st.builds("items[?{}].{}".format, parts, NAMES)
        | st.builds("[{}, {}]".format, parts, parts)
        | st.builds('properties.{{true: {}, "null": {}}}'.format, parts, parts)
        | parts.map("({})".format)
        | parts.map("!({})".format)
    )


EXPRESSIONS = st.recursive(PATHS | LITERALS, _combine, max_leaves=12)


@given(text=EXPRESSIONS)
def test_fields_and_quoted_literals_are_never_rejected(text: str) -> None:
    """Whatever is built from valid operands is valid, at every depth."""
    assert jmespath.compile(text)

    check_literals(text)


@given(text=EXPRESSIONS, mistake=st.sampled_from([m for m, _ in MISTAKES]))
def test_a_mistake_is_found_in_every_expression(text: str, mistake: str) -> None:
    """The rest of the expression doesn't hide it."""
    with pytest.raises(ExpressionError):
        check_literals(f"items[?({text}) && ({mistake})]")
