"""The work and the memory that one event can need."""

import base64
import gzip
import json
import tracemalloc
from typing import Any

import pytest

from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.expressions import UnmappableEvent
from tests.samples import read_rules, track

EACH = 'each = "properties.items"\n'
ITEMS = [2] * 1_000
NUMBERS = [1.5] * 6_000
OBJECTS = [{"a": 1.5}] * 100
PAIRS = [[1, 2]] * 100
TOO_MANY = "takes more than 40,000 steps for one event; send fewer elements"


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow a hundredth of the steps, so that the test is quick."""
    monkeypatch.setattr("segment_to_hyperline.mapping.work.MAX_STEPS", 40_000)


def bill(expression: str, rule: str = EACH, **properties: Any) -> list[Any]:
    """Return the values of *expression* in the billable events."""
    rules = read_rules(f"{rule}record = {{ x = {json.dumps(expression)} }}")
    billed = apply_rules(rules, track(properties={"items": ITEMS} | properties))
    return [json.loads(event.json)["record"]["x"] for event in billed]


def reason_for(expression: str, rule: str = EACH, **properties: Any) -> str:
    """Return why the event is unmappable."""
    with pytest.raises(UnmappableEvent) as error:
        bill(expression, rule, **properties)
    return str(error.value)


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("avg(properties.p)", NUMBERS[:60]),
        ("sum(properties.p[*].a)", OBJECTS),
        ("length(properties.p[?a > `1`])", OBJECTS),
        ("length(properties.p[])", PAIRS),
        ("length(properties.p[*][*])", PAIRS),
        ("max_by(properties.p, &add(a, `1`)).a", OBJECTS),
        ("length(map(&to_string(a), properties.p))", OBJECTS),
        ("length(split(properties.p, ','))", "," * 280),
        ("length(replace(properties.p, 'a', 'bc'))", "a" * 280),
        ("length(to_string(properties.p))", NUMBERS[:200]),
        ("length(parse_json(properties.p))", f"[{'[],' * 300}[]]"),
        (
            "length(powertools_base64_gzip(properties.p))",
            "H4sIAAAAAAACA0sEAEO+t+gBAAAA",
        ),
        ("powertools_base64_gzip(properties.p)", "H4sIAAAAAAACA0sEAEO+t+gBAAAA"),
        ("lower(properties.p)", "a" * 200),
        ("keys(properties.p)[0]", dict.fromkeys(map(str, range(80)))),
        ("length(join('', properties.p))", ["a"] * 200),
        ("sort(properties.p)[0]", NUMBERS[:200]),
    ],
)
def test_an_event_that_needs_too_much_work_is_unmappable(
    expression: str, value: Any
) -> None:
    """It would delay all events after it, at every attempt."""
    reason = reason_for(expression, p=value)

    assert f"record.x: {expression} {TOO_MANY}" in reason


def test_work_is_counted_and_not_timed() -> None:
    """The event fails at the same element each time, on any machine."""
    reasons = {reason_for("sum(properties.p)", p=NUMBERS) for _ in range(2)}

    (reason,) = reasons
    assert "item 332: record.x: sum(properties.p) takes more than 4,000,000" in reason


@pytest.mark.usefixtures("few_steps")
def test_the_expressions_of_an_event_share_the_steps() -> None:
    """A mapping with many expensive expressions doesn't need more time."""
    fields = ", ".join(f'f{n} = "sum(properties.items)"' for n in range(3))
    rules = read_rules(f"{EACH}record = {{ {fields} }}")

    with pytest.raises(UnmappableEvent, match=r"item 6\d: record.f\d: sum"):
        apply_rules(rules, track(properties={"items": ITEMS[:100]}))


@pytest.mark.usefixtures("few_steps")
def test_the_steps_of_a_condition_count() -> None:
    """Otherwise, many rules could each need as much as one event may."""
    when = 'when = "length(properties.p[?a > `1`]) == `0`"\nrecord = {}\n'
    rules = read_rules(*[when.replace("`0`", f"`{n}`") for n in range(300)])

    with pytest.raises(UnmappableEvent, match=r"when: .* takes more than 40,000 steps"):
        apply_rules(rules, track(properties={"p": OBJECTS}))


@pytest.mark.usefixtures("few_steps")
def test_properties_that_are_left_out_count() -> None:
    """Each of a thousand elements looks at all of them."""
    rules = read_rules(f'{EACH}record = {{ "*" = "properties" }}')
    unbillable = {"items": [*ITEMS[:-1], None], "p": [1, None]}

    with pytest.raises(UnmappableEvent, match=r"record.\*: properties takes more"):
        apply_rules(rules, track(properties=unbillable))


@pytest.mark.parametrize(
    "expression",
    [
        "divide(item, sum(properties.items))",
        "length(properties.items)",
        "not_null(properties.none, properties.items)[0]",
        "length(properties.text)",
        "add(multiply(item, `3`), round(divide(item, `7`), `2`))",
    ],
)
def test_usual_work_for_a_thousand_elements_is_possible(expression: str) -> None:
    """Each element can even have a share of the total of all."""
    assert len(bill(expression, text="x" * 28_000)) == 1_000


def compress(text: str) -> str:
    """Return *text* as Powertools reads it: Base64 of gzip."""
    return base64.b64encode(gzip.compress(text.encode())).decode()


def test_a_compressed_value_is_decompressed() -> None:
    """A large order fits into Segment's 32 KB for an event."""
    text = json.dumps([{"price": number} for number in range(9_000)])

    (length,) = bill(
        "length(powertools_base64_gzip(properties.p))", "", p=compress(text)
    )

    assert length == len(text)


@pytest.mark.parametrize(
    ("expression", "properties", "size"),
    [
        (
            "powertools_json(powertools_base64_gzip(properties.p))[0]",
            {"p": compress(f"[{'[],' * 7_000_000}[]]")},
            "larger than 1,048,576 bytes",
        ),
        (
            "join(properties.p, properties.q)",
            {"p": "x" * 10_000, "q": [""] * 10_000},
            "too long",
        ),
        (
            "to_string([to_string([to_string([properties.p])])])",
            {"p": '"' * 200_000},
            "too long",
        ),
    ],
)
def test_a_small_event_does_not_fill_the_memory(
    expression: str, properties: dict[str, Any], size: str
) -> None:
    """29 KB could become 22 MB of JSON, for which Python needs 490 MB."""
    tracemalloc.start()
    try:
        reason = reason_for(expression, "", **properties)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert f"(): the result is {size}" in reason
    assert peak < 20_000_000


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("length(join('--', properties.p))", ["x" * 131_071] * 2),
        ("length(replace(properties.p, 'a', '---'))", "aa" + "x" * 262_138),
    ],
)
def test_a_string_of_256_kib_can_be_an_intermediate_result(
    expression: str, values: Any
) -> None:
    """A longer one would not fit into a billable event."""
    assert bill(expression, "", p=values) == [256 * 1024]

    longer = [*values[:-1], values[-1] + "x"]
    value = longer if isinstance(values, list) else "".join(longer)
    assert "(): the result is too long" in reason_for(expression, "", p=value)


def test_the_longest_result_of_join_is_returned() -> None:
    """The limit is that for a billable event."""
    texts = ["x" * 1_000] * 200

    (joined,) = bill("join('-', properties.p)", "", p=texts)

    assert joined == "-".join(texts)
    assert bill("join('-', properties.p)", "", p=[]) == [""]
