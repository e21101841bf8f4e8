"""The page in a real browser, as its user sees it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from local_stack.segment_requests import write
from tests.samples import track
from tests.segment_to_hyperline.studio.conftest import FIVE, MAPPING, order, to_lines

AXE = Path(__file__).with_name("axe") / "axe.min.js"
RULE = """[[rules]]
event = "Order Completed"
each = "properties.products"
event_type = "'Product Ordered'"
record = { sku = "item.sku", amount = "multiply(item.price, itm.quantity)" }

"""
RIGHT = RULE.splitlines()[4].replace("itm.", "item.")

type Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as the machine has it; without it, these tests are skipped."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no Chromium, so the page is not tested: apt-get install chromium")
    # Root can't use Chromium's sandbox.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@pytest.fixture
def address(mapping: Path, tmp_path: Path) -> Iterator[str]:
    """The address that the command prints, for a mapping and no events."""
    command = [sys.executable, "-m", "segment_to_hyperline", "studio", "--no-browser"]
    with subprocess.Popen(
        [*command, "--mapping", str(mapping)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        text = "".join(process.stdout.readline() for _ in range(3))
        (found,) = re.findall(r"http://\S+", text)
        yield found
        process.terminate()


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Open]:
    """Open the page; nothing that it does may fail, or be requested elsewhere."""
    problems: list[str] = []
    contexts = []

    def open_page(width: int = 1_600, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 1_000},
            color_scheme="dark" if scheme == "dark" else "light",
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda m: problems.append(f"{m.type} {m.text}"))
        page.on(
            "request",
            lambda r: None if r.url.startswith(address) else problems.append(r.url),
        )
        page.goto(address)
        expect(page.locator("#totals strong").first).to_be_visible()
        return page

    yield open_page
    for context in contexts:
        context.close()
    # The first is the icon, and the others are requests that a test makes fail.
    failed = "error Failed to load resource:"
    expected = (
        *("data:", f"{failed} net::ERR_FAILED"),
        f"{failed} the server responded with a status of 4",
    )
    assert [p for p in problems if not p.startswith(expected)] == []


def add_events(page: Page, text: str) -> None:
    """Paste *text* into the dialog."""
    page.get_by_role("button", name="Add events…").click()
    page.get_by_label("Paste events").fill(text)
    page.get_by_role("button", name="Add", exact=True).click()


def focus_editor(page: Page, key: str) -> None:
    """Put the cursor where *key* moves it."""
    page.locator("#editor .ace_content").click()
    page.keyboard.press(key)


def replace_line(page: Page, text: str) -> None:
    """Replace the line of the cursor."""
    page.keyboard.press("End")
    page.keyboard.press("Shift+Home")
    page.keyboard.press("Shift+Home")
    page.keyboard.insert_text(text)
    page.keyboard.press("Escape")


def rows(table: Locator) -> list[list[str]]:
    """Return the cells of a table."""
    found = table.locator("tbody tr").all()
    return [row.locator("td").all_inner_texts() for row in found]


def save_test(page: Page, name: str) -> None:
    """Save the selected event as a test."""
    page.get_by_role("button", name="Save as a test…").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Name", exact=True).press("Tab")
    expect(page.get_by_label("The test")).to_have_value(re.compile(name))
    expect(page.locator("#replaced")).to_contain_text("userId")
    page.get_by_role("button", name="Save the test").click()


def test_a_rule_is_written_tested_and_changed(open_page: Open, mapping: Path) -> None:
    """Paste events, correct a mistake, see the totals, save, and see a test fail."""
    page = open_page()
    add_events(page, to_lines(FIVE))
    expect(page.locator("#count")).to_have_text("5 events")

    # A rule for line items, with a mistake.
    focus_editor(page, "Control+Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.insert_text(RULE)
    mistake = page.locator("#mistake")
    expect(mistake).to_contain_text("line 6 mapping.toml: rule 1 (Order Completed)")
    expect(mistake).to_contain_text("no top-level field itm (did you mean item.itm?)")
    expect(page.locator(".ace_gutter-cell.ace_error")).to_have_text("6")

    mistake.get_by_role("button", name="line 6").click()
    replace_line(page, RIGHT)
    expect(mistake).to_be_hidden()

    # The totals, and the difference to the saved mapping.
    usage = page.locator("#totals table").first
    expect(usage).to_contain_text("Product Ordered")
    assert rows(usage)[0] == ["Product Ordered", "customer-1", "4", "amount 45"]
    risk = page.locator("#difference .risk").first
    expect(risk).to_contain_text(
        "3 events would be billed twice if retried or replayed"
    )
    expect(risk).to_contain_text("Order Completed → Product Ordered")
    expect(page.locator("#totals")).to_contain_text('"order completed" is billed by')

    # The selected event.
    event = page.locator("#event")
    expect(event.locator("li").first).to_have_text("rule 1 (Order Completed) matches")
    fields = event.locator("table")
    assert rows(fields)[-1] == [
        "record.amount",
        "multiply(item.price, item.quantity)",
        "10",
        "2.5",
    ]
    page.locator("#list").select_option(label="✓ 4 track: order completed")
    expect(event.locator("li").nth(1)).to_have_text("rule 2 (track) matches")
    expect(event.locator("li").first).to_contain_text("is for Order Completed")

    # Save it, and an event as a test.
    page.keyboard.press("Control+s")
    expect(page.locator("#saved")).to_have_text("saved")
    lines = MAPPING.splitlines(keepends=True)
    right = RULE.replace(RULE.splitlines()[4], RIGHT)
    assert mapping.read_text("utf-8") == lines[0] + right + "".join(lines[1:])
    expect(page.locator("#difference")).to_have_text("Nothing is billed differently.")
    page.locator("#list").select_option(label="✓ 2 track: Order Completed")
    save_test(page, "Seats and disks")
    tests = page.locator("#tests")
    expect(tests).to_contain_text("1 test passed, 0 failed")
    expect(tests).to_contain_text("Not tested: rule 2 (track)")
    saved = mapping.with_name("mapping_tests.toml").read_text("utf-8")
    assert "jane@acme.example" not in saved
    assert '"customer_id": ' not in saved
    assert 'customer_id = "user-1"' in saved

    # Change the price.
    focus_editor(page, "Control+Home")
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    replace_line(page, RIGHT.replace("item.price", "`12`"))
    expect(tests).to_contain_text("0 tests passed, 1 failed")
    diff = tests.locator("pre").inner_text().splitlines()
    assert diff[:2] == [
        "- billable event 1: record.amount = 20",
        "+ billable event 1: record.amount = 24",
    ]


def test_two_pages_do_not_overwrite_each_other(open_page: Open, mapping: Path) -> None:
    """The second to save is asked; both show the same events."""
    first, second = open_page(), open_page()
    for page, text in ((first, "# First\n"), (second, "# Second\n")):
        focus_editor(page, "Control+Home")
        page.keyboard.insert_text(text)
    add_events(second, to_lines(FIVE))
    first.get_by_role("button", name="Save", exact=True).click()
    expect(first.locator("#saved")).to_have_text("saved")
    expect(first.locator("#count")).to_have_text("5 events")

    second.get_by_role("button", name="Save", exact=True).click()
    dialog = second.locator("#conflict")
    expect(dialog.get_by_text("The file changed on disk")).to_be_visible()
    second.keyboard.press("Escape")
    expect(second.locator("#saved")).to_have_text("not saved")
    assert mapping.read_text("utf-8") == "# First\n" + MAPPING

    second.get_by_role("button", name="Save", exact=True).click()
    dialog.get_by_role("button", name="Discard my changes").click()
    expect(second.locator("#editor")).to_contain_text("# First")
    expect(second.locator("#saved")).to_have_text("saved")

    mapping.unlink()
    focus_editor(second, "Control+Home")
    second.keyboard.insert_text("# Third\n")
    second.keyboard.press("Control+s")
    dialog.get_by_role("button", name="Overwrite the file").click()
    expect(second.locator("#saved")).to_have_text("saved")
    assert mapping.read_text("utf-8") == "# Third\n# First\n" + MAPPING


def test_another_page_can_change_the_events(open_page: Open, mapping: Path) -> None:
    """An event that is selected, or saved as a test, is the one that is listed."""
    first, second = open_page(), open_page()
    add_events(first, to_lines(FIVE[:2]))
    expect(first.locator("#list option")).to_have_count(2)
    second.get_by_role("button", name="Clear").click()
    add_events(second, to_lines([*FIVE[3:], FIVE[0]]))
    expect(second.locator("#count")).to_have_text("3 events")

    first.locator("#list").select_option("1")
    expect(first.locator("#count")).to_have_text("3 events")
    expect(first.locator("#list option").nth(1)).to_contain_text("2 page: Home")
    expect(first.locator("#event .outcome")).to_contain_text("filtered")

    second.get_by_role("button", name="Clear").click()
    expect(second.locator("#count")).to_have_text("0 events")
    first.get_by_role("button", name="Save as a test…").click()
    expect(first.locator("#count")).to_have_text("0 events")
    expect(first.locator("#testing")).to_be_hidden()
    assert not mapping.with_name("mapping_tests.toml").exists()


def test_a_file_that_can_not_be_saved_is_reported(
    open_page: Open, mapping: Path
) -> None:
    """The changes stay on the page, and can be saved later."""
    page = open_page()
    mapping.unlink()
    mapping.mkdir()
    focus_editor(page, "Control+Home")
    page.keyboard.insert_text("# x\n")
    page.keyboard.press("Control+s")
    expect(page.locator("#problem")).to_contain_text("Is a directory")
    expect(page.locator("#saved")).to_have_text("not saved")

    mapping.rmdir()
    page.keyboard.press("Control+s")
    page.get_by_role("button", name="Overwrite the file").click()
    expect(page.locator("#saved")).to_have_text("saved")
    expect(page.locator("#problem")).to_have_text("")


def test_events_are_dropped_pasted_and_chosen(open_page: Open, tmp_path: Path) -> None:
    """Wherever they are pasted on the page; what is no event is reported."""
    page = open_page()
    page.evaluate(
        """(text) => {
            const data = new DataTransfer();
            data.items.add(new File([text], "five.ndjson"));
            document.body.dispatchEvent(
                new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        }""",
        to_lines(FIVE),
    )
    expect(page.locator("#count")).to_have_text("5 events")

    page.evaluate("(text) => navigator.clipboard.writeText(text)", to_lines(FIVE[:1]))
    page.locator("h1").click()
    page.keyboard.press("Control+v")
    expect(page.locator("#count")).to_have_text("6 events")

    (tmp_path / "bad.json").write_text("nonsense")
    page.get_by_role("button", name="Add events…").click()
    page.locator("#files").set_input_files(tmp_path / "bad.json")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#count")).to_contain_text(
        "6 events; 1 part can't be read: bad.json:1: not JSON"
    )

    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#count")).to_have_text("0 events")
    expect(page.locator("#event")).to_contain_text("Add events, paste them here")


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        ("12345678901234567890", "billed"),
        ("1.50", "billed"),
        ("1e400", "quarantined"),
        ("[" * 20_000 + "]" * 20_000, "quarantined"),
    ],
)
def test_any_event_is_shown_as_it_is(open_page: Open, value: str, outcome: str) -> None:
    """Long numbers are not rounded, and an extreme value doesn't break the page."""
    page = open_page()
    event = write(track(properties={"n": "N"})).replace('"N"', value)
    add_events(page, event)

    expect(page.locator("#event .outcome")).to_contain_text(outcome)
    expect(page.locator("#json")).to_contain_text(value)


def test_a_sample_of_many_events_is_evaluated(open_page: Open, tmp_path: Path) -> None:
    """The page says that totals are parts; the list can be filtered."""
    (tmp_path / "many.json").write_text(
        json.dumps([order(n, messageId=f"m-{n}") for n in range(10_002)])
    )
    page = open_page()
    page.get_by_role("button", name="Add events…").click()
    page.locator("#files").set_input_files(tmp_path / "many.json")
    page.get_by_role("button", name="Add", exact=True).click()

    expect(page.locator("#count")).to_have_text(
        "10,002 events; a sample of 5,001 is evaluated, 1 of 2, so totals are parts"
    )
    expect(page.locator("#totals strong").first).to_have_text("5,001 billed")
    page.get_by_label("Filter by outcome").select_option("f")
    expect(page.locator("#list option")).to_have_count(0)
    page.get_by_label("Filter by outcome").select_option("b")
    expect(page.locator("#list option")).to_have_count(1_001)
    expect(page.locator("#list option").last).to_have_text("and 4,001 more events")
    page.get_by_label("Filter by name").fill("none")
    expect(page.locator("#list option")).to_have_count(0)


REGION = "The region of a country; a country that is not in the table is quarantined"


def test_the_editor_helps(open_page: Open) -> None:
    """It completes keys and fields, inserts recipes, and paths that are clicked."""
    page = open_page()
    add_events(page, to_lines(FIVE))
    page.get_by_label("Recipe").select_option(label=REGION)
    expect(page.locator("#editor")).to_contain_text("lookup('region'")
    expect(page.locator("#editor")).to_contain_text("[tables.region]")
    expect(page.locator("#mistake")).to_be_hidden()

    focus_editor(page, "Control+Home")
    page.keyboard.insert_text('[[rules]]\nevent = "Order Completed"\nea')
    page.keyboard.press("Control+Space")
    popup = page.locator(".ace_autocomplete")
    expect(popup).to_contain_text("each")
    expect(page.locator(".ace_doc-tooltip")).to_contain_text("array")
    page.keyboard.press("Enter")
    page.keyboard.insert_text(' = "properties.prod')
    page.keyboard.press("Control+Space")
    expect(popup).to_contain_text("properties.products")
    page.keyboard.press("Enter")
    page.keyboard.insert_text('"\nrecord = { }\n')
    expect(page.locator("#mistake")).to_be_hidden()
    expect(page.locator("#event")).to_contain_text("2 billable events")

    page.locator("#json").get_by_role("button", name="sku").first.click()
    expect(page.locator("#editor")).to_contain_text("item.sku")
    expect(page.locator("#mistake")).to_contain_text("not TOML")


def test_the_page_can_be_used_with_the_keyboard(open_page: Open) -> None:
    """Tab passes the editor, and each control can be reached."""
    page = open_page()
    add_events(page, to_lines(FIVE))
    expect(page.locator("#count")).to_have_text("5 events")
    page.locator("#recipes").focus()
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))

    for name in ("filter", "outcome", "add", "clear", "list", "save-test", "json"):
        assert name in reached
    page.locator("#list").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#event .outcome")).to_contain_text("billed")
    expect(page.locator("#json")).to_contain_text("order-2")


def test_a_file_that_is_too_large_is_reported(open_page: Open) -> None:
    """The events that were read before are still shown."""
    page = open_page()
    add_events(page, to_lines(FIVE))
    expect(page.locator("#count")).to_have_text("5 events")
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(201 << 20)], "large"));
            document.body.dispatchEvent(
                new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        }"""
    )

    expect(page.locator("#problem")).to_contain_text("accepts 200 MiB", timeout=20_000)
    expect(page.locator("#count")).to_have_text("5 events")


def test_the_browser_does_not_store_what_is_typed(open_page: Open) -> None:
    """It would keep fields for when it is started again; events are personal data."""
    page = open_page()

    fields = "#filter, dialog input:not([type=file]), dialog textarea"
    kept = "(all) => all.map((e) => e.autocomplete || e.form.autocomplete)"
    assert page.locator(fields).evaluate_all(kept) == ["off"] * 4


def test_the_end_of_the_command_is_shown(open_page: Open) -> None:
    """So that nobody types for nothing."""
    page = open_page()
    page.route("**/*", lambda route: route.abort())
    focus_editor(page, "Control+Home")
    page.keyboard.insert_text("# x\n")

    expect(page.locator("#problem")).to_contain_text("The command has ended")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [800, 1_600])
def test_the_page_is_accessible(open_page: Open, width: int, scheme: str) -> None:
    """Axe finds nothing serious, and nothing is wider than the window."""
    page = open_page(width, scheme)
    add_events(page, to_lines([*FIVE, order(7, userId=None)]))
    focus_editor(page, "Control+Home")
    page.keyboard.insert_text(RULE.replace("itm.", "item."))
    expect(page.locator("#difference .risk").first).to_be_visible()
    page.evaluate(AXE.read_text("utf-8"))

    found = find_barriers(page)
    for name in ("Add events…", "Save as a test…"):
        page.get_by_role("button", name=name).click()
        expect(page.locator("dialog[open]")).to_be_visible()
        found += find_barriers(page)
        page.keyboard.press("Escape")
    focus_editor(page, "Control+Home")
    page.keyboard.insert_text("x")
    expect(page.locator("#mistake")).to_be_visible()
    found += find_barriers(page)

    assert found == []
    overflow = "document.documentElement.scrollWidth - innerWidth"
    assert page.evaluate(overflow) <= 0


def find_barriers(page: Page) -> list[str]:
    """Return what axe finds serious or critical, with the elements."""
    violations = page.evaluate("axe.run().then((results) => results.violations)")
    return [
        f"{v['id']}: {node['html']}"
        for v in violations
        if v["impact"] in {"serious", "critical"}
        for node in v["nodes"]
    ]
