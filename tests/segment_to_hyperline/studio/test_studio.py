"""What the page shows and saves, without a browser."""

import gzip
import json
import stat
import tomllib
from collections import Counter
from pathlib import Path, PosixPath
from typing import Any

import pytest

from segment_to_hyperline.archive.captured import CapturedEvent, UnreadableLine
from segment_to_hyperline.elements import Element
from segment_to_hyperline.mapping.functions import Functions
from segment_to_hyperline.mapping.rule_reader import RULE_KEYS
from segment_to_hyperline.mapping_tests.check import run_files
from segment_to_hyperline.studio.events import MAX_EVENTS, Events
from segment_to_hyperline.studio.files import write_text
from segment_to_hyperline.studio.personal import replace_personal
from segment_to_hyperline.studio.studio import Studio
from tests.samples import track
from tests.segment_to_hyperline.studio.conftest import FIVE, MAPPING, order, to_lines

ITEMS = """
[[rules]]
event = "Order Completed"
when = "properties.order_id != 'o-2'"
each = "properties.products"
event_type = "'Product Ordered'"
record = { sku = "item.sku", amount = "multiply(item.price, item.quantity)" }

[[rules]]
event = "Order Completed"
ignore = true
"""
BAD = ITEMS.replace("item.price", "itm.price")


def always() -> bool:
    """Return that an evaluation is still needed."""
    return True


def test_all_events_are_evaluated(studio: Studio) -> None:
    """There are totals by type and customer, reasons, near misses, and marks."""
    shown = studio.evaluate(ITEMS, always)

    assert shown["marks"] == "bfbff"
    summary = shown["summary"]
    assert summary["outcomes"] == {"billed": 2, "filtered": 3}
    assert summary["usage"] == [
        ["Product Ordered", "customer-1", "4", "amount 45"],
    ]
    assert sorted(summary["filtered"]) == [
        ["1", "rule 2 ignores it"],
        ["2", "no rule matches"],
    ]
    ((number, warning),) = summary["warnings"]
    assert number == "1"
    assert warning.startswith('"order completed" is filtered, but it differs from')


def test_the_difference_to_the_saved_mapping_is_shown(studio: Studio) -> None:
    """Double billing comes first, and then events that are no longer billed."""
    shown = studio.evaluate(ITEMS, always)["difference"]

    assert shown["changes"] == {"changed": 2, "removed": 2}
    assert [risk["kind"] for risk in shown["risks"]] == ["billed_twice", "lost"]
    assert ("-", "Order Completed", "customer-1", "2 events") in shown["rows"]
    same = studio.evaluate(MAPPING, always)["difference"]
    assert (same["rows"], same["risks"]) == ([], [])


def test_totals_begin_with_the_most_events(studio: Studio) -> None:
    """Quarantined events have the values that their reason is about."""
    rules = '[[rules]]\nrecord = { n = "add(properties.order_id, `1`)" }\n'

    usage = studio.evaluate(MAPPING, always)["summary"]["usage"]
    quarantined = studio.evaluate(rules, always)["summary"]["quarantined"]

    assert [row[:3] for row in usage[:2]] == [
        ["Order Completed", "customer-1", "2"],
        ["Order Completed", "customer-0", "1"],
    ]
    assert (quarantined[0][0], quarantined[0][2]) == ("3", '"o-1", "o-2", "o-3"')


def test_names_that_no_event_has_are_warned_of(studio: Studio) -> None:
    """As by `preview`, which watches the conditions."""
    rules = f"[[rules]]\nwhen = \"properties.plann == 'x'\"\nignore = true\n{MAPPING}"

    warnings = studio.evaluate(rules, always)["summary"]["warnings"]

    assert any("properties.plann" in text for _, text in warnings)


def test_of_very_many_rows_the_rest_is_counted(studio: Studio, mapping: Path) -> None:
    """The page never leaves something out silently."""
    mapping.write_text('[[rules]]\nevent = "none"\nignore = true\n')
    studio.events.clear()
    studio.events.add(
        CapturedEvent(1, Element(track(messageId=f"m-{n}", userId=f"u-{n}"), ""))
        for n in range(102)
    )
    ignored = "".join(
        f"[[rules]]\nwhen = \"userId == 'u-{n}'\"\nignore = true\n" for n in range(102)
    )

    billed = studio.evaluate(MAPPING, always)
    filtered = studio.evaluate(ignored, always)["summary"]["filtered"]

    assert (len(billed["summary"]["usage"]), billed["summary"]["more"]) == (100, 2)
    difference = billed["difference"]
    assert (len(difference["rows"]), difference["more"]) == (100, 2)
    assert (len(filtered), filtered[-1]) == (101, ["", "and 2 more"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file or directory"),
        (b"[[rules]]", "the saved mapping is invalid: mapping.toml: rule 1: record is"),
        (b"\xff", "the saved mapping is invalid: mapping.toml: not UTF-8"),
    ],
)
def test_without_a_valid_saved_mapping_the_rest_is_shown(
    studio: Studio, mapping: Path, content: bytes | None, problem: str
) -> None:
    """The file can be invalid, or disappear while the page is open."""
    mapping.write_bytes(content) if content else mapping.unlink()

    shown = studio.evaluate(ITEMS, always)

    assert problem in shown["difference"]["problem"]
    assert shown["summary"]["outcomes"]["billed"] == 2


class SavedMeanwhile(PosixPath):
    """A file that an editor saves just after it was read."""

    def read_bytes(self) -> bytes:
        """Return what was in the file before."""
        content = super().read_bytes()
        self.write_text(ITEMS, "utf-8")
        return content


def test_the_difference_is_to_the_present_file(studio: Studio, mapping: Path) -> None:
    """Also if another program saves it during an evaluation."""
    page = Studio(SavedMeanwhile(mapping))
    page.events = studio.events

    first = page.evaluate(MAPPING, always)["difference"]
    second = page.evaluate(MAPPING, always)["difference"]

    assert first["changes"] == {"unchanged": 4}
    assert second["changes"] == {"changed": 2, "added": 2}


def test_a_saved_mapping_that_can_not_be_read_is_reported(
    studio: Studio, mapping: Path
) -> None:
    """The rest is shown."""
    mapping.unlink()
    mapping.mkdir()

    shown = studio.evaluate(ITEMS, always)

    assert shown["difference"] == {"problem": f"{mapping}: Is a directory"}
    assert shown["marks"] == "bfbff"


@pytest.mark.parametrize("index", [0, 4])
def test_a_mistake_is_shown_at_its_line(studio: Studio, index: int) -> None:
    """It is the loader's own message, for one event and for all."""
    expected = "mapping.toml: rule 1 (Order Completed): record.amount: Segment's events"
    for shown in (studio.evaluate(BAD, always), studio.explain(BAD, index)):
        assert shown["mistake"]["line"] == 7
        assert shown["mistake"]["text"].startswith(expected)


def test_an_event_is_explained(studio: Studio) -> None:
    """It has the rules up to the one that matches, and each field with its value."""
    shown = studio.explain(ITEMS, 0)

    assert (shown["outcome"], len(shown["billable"])) == ("billed", 2)
    assert shown["each"] == "properties.products"
    assert shown["rules"] == [
        {"number": 1, "name": "rule 1 (Order Completed)", "why": "matches"}
    ]
    fields = {field["name"]: field for field in shown["fields"]}
    assert fields["record.amount"] == {
        "name": "record.amount",
        "expression": "multiply(item.price, item.quantity)",
        "values": [{"value": "10"}, {"value": "2.5"}],
    }
    assert fields["event_type"]["values"] == [{"value": '"Product Ordered"'}] * 2


def test_all_fields_of_an_event_are_explained(studio: Studio) -> None:
    """Also those of `"*"`, and of the first elements of very many."""
    studio.events.clear()
    items = [{"n": n} for n in range(12)]
    studio.events.read("x", json.dumps(track(properties={"items": items})).encode())
    rules = '[[rules]]\neach = "properties.items"\nrecord = { "*" = "item" }\n'

    shown = studio.explain(rules, 0)

    *_, spread = shown["fields"]
    assert spread["name"] == "record.*"
    assert spread["values"] == [{"value": f'{{"n": {n}}}'} for n in range(10)]
    assert len(shown["billable"]) == 12


def test_a_rule_after_one_that_fails_is_not_reached(studio: Studio) -> None:
    """The event is quarantined because of the condition of the first one."""
    failing = "[[rules]]\nwhen = \"starts_with(properties.none, 'a')\"\nignore = true\n"

    first, second = studio.explain(failing + MAPPING, 0)["rules"]

    assert first["why"].startswith("when: starts_with(properties.none, 'a')")
    assert second["why"] == "was not reached"


def test_an_event_that_is_gone_is_not_explained(studio: Studio) -> None:
    """Another page can remove it; the version shows that."""
    version = studio.events.kept.version

    for index, is_there in ((4, True), (5, False)):
        explained = studio.explain(MAPPING, index)
        proposed = studio.propose_test(MAPPING, index, "x")
        assert explained["events"] == proposed["events"] == version
        assert ("outcome" in explained, "toml" in proposed) == (is_there, is_there)


def test_why_earlier_rules_do_not_match_is_shown(studio: Studio) -> None:
    """Because of the type, the name, or the value of the condition."""
    rules = '[[rules]]\ntype = "page"\nignore = true\n' + ITEMS

    assert [rule["why"] for rule in studio.explain(rules, 1)["rules"]] == [
        "is for page events",
        "when: properties.order_id != 'o-2' is false",
        "matches, and ignores the event",
    ]
    assert [rule["why"] for rule in studio.explain(rules, 3)["rules"]] == [
        "is for page events",
        *["is for Order Completed"] * 2,
    ]


@pytest.mark.parametrize("number", ["12345678901234567890", "1.0", "0.1"])
def test_numbers_are_shown_as_they_are_billed(studio: Studio, number: str) -> None:
    """As text, because JavaScript rounds a number to 53 bits."""
    studio.events.clear()
    event = json.dumps(track(properties={"n": "N"})).replace('"N"', number)
    studio.events.read("x", event.encode())

    shown = studio.explain('[[rules]]\nrecord = { n = "properties.n" }\n', 0)

    assert shown["fields"][-1]["values"] == [{"value": number}]
    (billable,) = shown["billable"]
    assert f'\n    "n": {number},\n' in billable


def test_a_field_that_fails_is_explained(studio: Studio) -> None:
    """The reason is that of the quarantine, with the value it is about."""
    studio.events.clear()
    studio.events.read("x", json.dumps(track(properties={"n": "9"})).encode())

    shown = studio.explain('[[rules]]\nrecord = { n = "add(properties.n, `1`)" }\n', 0)

    assert (shown["outcome"], shown["value"]) == ("quarantined", '"9"')
    (value,) = shown["fields"][-1]["values"]
    assert value["problem"] == shown["reason"].removeprefix("rule 1 (track): ")


@pytest.mark.parametrize("text", ["1", '"x"', "[" * 2_000 + "]" * 2_000])
def test_what_is_no_event_is_explained(studio: Studio, text: str) -> None:
    """The function would quarantine it, too."""
    studio.events.clear()
    studio.events.read("x", f'{{"json": {text}}}'.encode())
    shown = studio.explain(MAPPING, 0)

    assert shown["outcome"] == "quarantined"
    assert studio.events.kept.to_json()["names"] == ["(no event)"]
    assert "problem" in studio.propose_test(MAPPING, 0, "x")


def test_an_evaluation_ends_when_it_is_no_longer_needed(studio: Studio) -> None:
    """So a slow one doesn't delay the next."""
    studio.events.add(
        CapturedEvent(1, Element(track(messageId=f"m-{n}"), "")) for n in range(500)
    )
    asked: list[None] = []

    def is_needed() -> bool:
        asked.append(None)
        return len(asked) < 5

    assert studio.evaluate(ITEMS, is_needed) == {}
    assert 5 <= len(asked) <= 6
    assert studio.evaluate(ITEMS, lambda: False) == {}


def test_events_are_read_in_any_format() -> None:
    """As `preview` reads them; what can't be read is reported with its place."""
    events = Events()
    events.read("a.ndjson", to_lines(FIVE).encode())
    events.read("b.json", json.dumps(FIVE).encode())
    events.read("c.gz", gzip.compress(to_lines(FIVE).encode()))
    events.read("d", b"nonsense\n" + to_lines(FIVE).encode())
    events.read("e.gz", gzip.compress(to_lines(FIVE).encode())[:50])

    kept = events.kept

    assert (kept.total, kept.unreadable) == (20, 2)
    assert kept.problems[0].startswith("d:1: not JSON: Expecting value")
    assert kept.problems[1].startswith("e.gz:1: the gzip data is damaged")


def test_of_very_many_events_a_sample_is_kept() -> None:
    """It is spread evenly over all of them, also if they alternate."""
    events = Events()
    events.add(CapturedEvent(n, Element({}, "{}")) for n in range(25_000))
    events.add(CapturedEvent(n, Element({}, "{}")) for n in range(25_000, 45_000))

    kept = events.kept.to_json()

    assert (kept["total"], kept["step"]) == (45_000, 8)
    lines = [item.line for item in events.kept.items]
    assert [line // 8 for line in lines] == list(range(5_625))
    assert MAX_EVENTS / 2 <= len(lines) <= MAX_EVENTS
    for period in (2, 4, 7):
        for share in Counter(line % period for line in lines).values():
            assert share == pytest.approx(len(lines) / period, rel=0.1)


def test_very_many_problems_and_fields_are_cut_off() -> None:
    """What the page lists stays small; all problems are counted."""
    events = Events()
    events.add(UnreadableLine(n, f"problem {n}") for n in range(30))
    wide = track(properties={f"p{n}": n for n in range(2_000)})
    events.add([CapturedEvent(1, Element(wide, ""))])

    kept = events.kept.to_json()

    assert (kept["unreadable"], len(kept["problems"])) == (30, 20)
    assert len(kept["paths"]) == 1_000


def test_the_fields_that_occur_are_listed() -> None:
    """As an expression writes them, for completion."""
    events = Events()
    events.read("x", json.dumps([order(1), track(properties={"a b": 1})]).encode())

    paths = events.kept.to_json()["paths"]

    assert paths["properties"] == "2 events"
    assert paths["properties.products[0].sku"] == "1 event"
    assert 'properties."a b"' in paths


def test_the_mapping_is_saved_unless_the_file_changed(mapping: Path) -> None:
    """It is replaced at once, with the same permissions, also through a link."""
    mapping.chmod(0o640)
    link = mapping.with_name("link.toml")
    link.symlink_to(mapping)
    page = Studio(link)
    version = page.describe()["version"]

    first = page.save(ITEMS, version, force=False)
    second = page.save(MAPPING, version, force=False)

    assert second == {"changed": True}
    assert (mapping.read_text("utf-8"), link.is_symlink()) == (ITEMS, True)
    assert stat.S_IMODE(mapping.stat().st_mode) == 0o640
    assert page.save("é", version, force=True)["version"] != first["version"]
    assert mapping.read_bytes() == "é".encode()
    assert sorted(p.name for p in mapping.parent.iterdir()) == [
        *("link.toml", "mapping.toml")
    ]


def test_a_second_save_of_the_same_text_is_no_conflict(studio: Studio) -> None:
    """As when Ctrl+S is pressed twice."""
    version = studio.describe()["version"]

    first = studio.save(ITEMS, version, force=False)

    assert studio.save(ITEMS, version, force=False) == first
    assert "version" in first


def test_a_read_only_mapping_is_kept(studio: Studio, mapping: Path) -> None:
    """Somebody has protected it; the mode of the folder doesn't matter."""
    mapping.chmod(0o444)

    with pytest.raises(PermissionError, match="The file is read-only"):
        studio.save(ITEMS, studio.describe()["version"], force=True)

    assert mapping.read_text("utf-8") == MAPPING


def test_a_save_that_fails_leaves_no_file(
    studio: Studio, mapping: Path, tmp_path: Path
) -> None:
    """Whether the text has a lone surrogate, or the file can't be replaced."""
    with pytest.raises(ValueError, match="surrogates not allowed"):
        studio.save("\ud800", "", force=True)
    assert mapping.read_text("utf-8") == MAPPING

    mapping.unlink()
    mapping.mkdir()
    with pytest.raises(IsADirectoryError):
        write_text(mapping, ITEMS)

    assert list(tmp_path.iterdir()) == [mapping]


def test_a_deleted_mapping_is_not_restored_without_asking(
    studio: Studio, mapping: Path
) -> None:
    """Somebody may have moved it."""
    version = studio.describe()["version"]
    mapping.unlink()

    assert studio.save(ITEMS, version, force=False) == {"changed": True}
    assert "version" in studio.save(ITEMS, version, force=True)
    assert mapping.read_text("utf-8") == ITEMS


@pytest.mark.parametrize("index", range(5))
def test_a_test_is_saved_of_each_outcome(
    studio: Studio, mapping: Path, index: int
) -> None:
    """It passes, and the second one is added to the same file."""
    mapping.write_text(ITEMS, "utf-8")
    tests = mapping.with_name("mapping_tests.toml")
    tests.write_text("# Ours.\n")

    for name in ("First 'test'", 'A "second"\n'):
        proposed = studio.propose_test(ITEMS, index, name)
        assert proposed["problem"] == ""
        assert studio.save_test(proposed["toml"]) == {"name": tests.name}

    report = run_files(mapping, tests)
    assert (len(report.results), report.failed) == (2, [])
    text = tests.read_text("utf-8")
    assert text.startswith("# Ours.\n\n[[tests]]\n")
    for personal in ("jane", "198.51", "customer-1", "customer-0"):
        assert personal not in text
    assert (
        studio.evaluate(ITEMS, always)["tests"]["title"] == "2 tests passed, 0 failed"
    )


@pytest.mark.parametrize(
    "text", ["😀", "é", "a\x7fb", "it's", 'a "b"', "\\u", "\u2028"]
)
def test_a_test_of_any_text_is_saved(studio: Studio, text: str) -> None:
    """In its name, in what is billed, and in a name of a property."""
    studio.events.clear()
    event = track(properties={"plan": text, f"plan {text}": text})
    studio.events.read("x", json.dumps(event).encode())

    proposed = studio.propose_test(MAPPING, 0, f"A {text}")

    assert studio.save_test(proposed["toml"]) == {"name": "mapping_tests.toml"}
    (result,) = studio.evaluate(MAPPING, always)["tests"]["tests"]
    assert (result["name"], result["diff"]) == (f"A {text}", [])


def test_a_lone_surrogate_that_is_not_billed_is_saved(studio: Studio) -> None:
    """JSON can contain it, and TOML can't."""
    studio.events.clear()
    studio.events.read("x", json.dumps(track(context={"page": "\ud83d"})).encode())

    toml = studio.propose_test(MAPPING, 0, "x")["toml"]

    assert studio.save_test(toml) == {"name": "mapping_tests.toml"}
    assert r'"page": "\ud83d"' in toml


def test_an_invalid_test_is_not_saved(studio: Studio, mapping: Path) -> None:
    """Two tests of one name, for example; and the page shows what is in the file."""
    toml = studio.propose_test(MAPPING, 0, "Twice")["toml"]
    studio.save_test(toml)

    again = studio.save_test(toml)

    assert "name: another test has it too" in again["problem"]
    tests = mapping.with_name("mapping_tests.toml")
    assert len(tomllib.loads(tests.read_text("utf-8"))["tests"]) == 1
    tests.write_text("[[test]]")
    shown = studio.evaluate(MAPPING, always)["tests"]
    assert shown["problem"].startswith("mapping_tests.toml: test is not a known key")


def test_a_test_that_depends_on_personal_fields_is_reported(studio: Studio) -> None:
    """With them replaced, another outcome would be expected."""
    rules = (
        '[[rules]]\nevent = "Order Completed"\n'
        "when = \"contains(context.traits.email, '@acme')\"\nignore = true\n" + MAPPING
    )

    proposed = studio.propose_test(rules, 0, "Staff")

    assert "the event is billed and not filtered" in proposed["problem"]
    assert "mistake" in studio.propose_test(BAD, 0, "x")


@pytest.mark.parametrize(
    ("changes", "replaced"),
    [
        ({"userId": "u-9"}, {"userId": "user-1"}),
        ({"userId": 9}, {"userId": 0}),
        (
            {"userId": "u-9", "properties": {"owner": "u-9", "ids": ["u-9"]}},
            {
                "userId": "user-1",
                "properties": {"owner": "user-1", "ids": ["user-1"]},
            },
        ),
        ({"context": {"groupId": "a"}}, {"context": {"groupId": "group-1"}}),
        (
            {"context": {"ip": "1.2.3.4", "userAgent": "X", "locale": "de"}},
            {"context": {"ip": "192.0.2.1", "userAgent": "example", "locale": "de"}},
        ),
        (
            {"traits": {"name": "Jane", "address": {"city": "Bern", "zip": 3000}}},
            {"traits": {"name": "Example", "address": {"city": "Example", "zip": 0}}},
        ),
        (
            {"properties": {"name": "Seat", "First_Name": "Jane", "paid": True}},
            {"properties": {"name": "Seat", "First_Name": "Example", "paid": True}},
        ),
        (
            {
                "properties": {
                    "customer_id": "c-9",
                    "customerName": "Jane",
                    "surname": "Doe",
                    "shipping_address": "Main St 1",
                    "contactPhone": 41790000000,
                    "teamSize": 3,
                    "planName": "Pro",
                }
            },
            {
                "properties": {
                    "customer_id": "user-1",
                    "customerName": "Example",
                    "surname": "Example",
                    "shipping_address": "Example",
                    "contactPhone": 0,
                    "teamSize": 3,
                    "planName": "Pro",
                }
            },
        ),
        (
            {
                "userId": "jane-doe",
                "context": {
                    "groupId": "acme-7",
                    "page": {"path": "/users/jane-doe/x", "title": "Jane"},
                },
                "properties": {"account": "acme-7", "plan": "acme-70", "n": "x7"},
            },
            {
                "userId": "user-1",
                "context": {
                    "groupId": "group-1",
                    "page": {"path": "/users/user-1/x", "title": "example"},
                },
                "properties": {"account": "group-1", "plan": "acme-70", "n": "x7"},
            },
        ),
        (
            {"previousId": "p-1", "properties": {"of": "p-1", "phone": "+41"}},
            {
                "previousId": "user-1",
                "properties": {"of": "user-1", "phone": "+1-202-555-0100"},
            },
        ),
        (
            {"userId": "1", "properties": {"note": "plan 1"}},
            {"userId": "user-1", "properties": {"note": "plan 1"}},
        ),
        (
            {"properties": {"note": "by jane@acme.example, today", "email": ""}},
            {"properties": {"note": "by person@example.com, today", "email": ""}},
        ),
    ],
)
def test_personal_fields_are_replaced(
    changes: dict[str, Any], replaced: dict[str, Any]
) -> None:
    """What is billed by, such as names of products and times, is kept."""
    event, paths = replace_personal(track(**changes))

    base, _ = replace_personal(track())
    assert event == base | replaced
    assert event["messageId"] == track()["messageId"]
    assert replace_personal(event) == (event, [])
    assert len(paths) == len(set(paths)) or "properties.ids" in paths


def test_keys_functions_and_recipes_are_documented(studio: Studio) -> None:
    """All keys and functions of ours, and the recipes with the table they need."""
    reference = studio.describe()["reference"]

    assert set(reference["keys"]) == set(RULE_KEYS)
    assert all(reference["keys"].values())
    assert set(reference["functions"]) == set(Functions.FUNCTION_TABLE)
    assert reference["functions"]["split"].startswith("split(text, separator): the")
    recipes = {recipe["title"]: recipe for recipe in reference["recipes"]}
    assert len(recipes) == 14
    (table,) = [r["table"] for r in recipes.values() if r["table"]]
    assert table.startswith("[tables.region]\n")
    for recipe in recipes.values():
        shown = studio.evaluate(f"{recipe['text']}\n{recipe['table']}", always)
        assert "mistake" not in shown
