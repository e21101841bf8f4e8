"""Take the pictures of the documentation: `.venv/bin/python -m maintenance.pictures`.

They need Chromium, as the tests of the page do.
"""

import shutil
import tempfile
import threading
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.studio.server import Server
from segment_to_hyperline.studio.studio import Studio
from tests.segment_to_hyperline.closing.world import World

_ROOT = Path(__file__).parents[1]
_RULE = """[[rules]]
event = "Order Completed"
each = "properties.products"
event_type = "'Product Ordered'"
record = { sku = "item.sku", quantity = "item.quantity" }

"""
_EVENTS = ("events/sample.ndjson", "events/recipes.ndjson")

type _Scheme = Literal["light", "dark"]


class _Picture(NamedTuple):
    name: str
    size: tuple[int, int]
    scheme: _Scheme
    rule: str


_PICTURES = (
    _Picture("studio", (1_400, 980), "light", _RULE),
    _Picture("studio-mistake", (800, 620), "dark", _RULE.replace("item.q", "itm.q")),
)


_MONTH_SIZE = (1_000, 955)


def main() -> None:
    """Write the pictures into docs/."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    options = ["--no-sandbox"]  # only our pages are opened
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=options) as browser,
    ):
        _take_studio(browser, Path(folder))
        _take_month(browser, Path(folder))


def _take_studio(browser: Browser, folder: Path) -> None:
    mapping = folder / "mapping.toml"
    text = (_ROOT / "function/mapping.toml").read_text("utf-8")
    mapping.write_text(text[text.index("[[rules]]") :], "utf-8")
    studio = Studio(mapping)
    for name in _EVENTS:
        studio.events.read(name, (_ROOT / name).read_bytes())
    with Server(studio) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for picture in _PICTURES:
            page = _open(browser, server.url, picture.size, picture.scheme)
            _take(page, picture)
        server.shutdown()


def _take_month(browser: Browser, folder: Path) -> None:
    """Take the report of a month in which one event is missing."""
    with (
        FakeHyperline(rate_limit=1_000_000) as hyperline,
        FakeCoreApi(rate_limit=1_000_000, hyperline=hyperline) as core,
    ):
        world = World(folder, hyperline, core)
        world.delete(0)
        world.issue()
        world.close()
        url = (world.report / "report.html").as_uri()
        _save(_open(browser, url, _MONTH_SIZE, "light"), "month")


def _open(browser: Browser, url: str, size: tuple[int, int], scheme: _Scheme) -> Page:
    width, height = size
    viewport: ViewportSize = {"width": width, "height": height}
    page = browser.new_page(viewport=viewport, color_scheme=scheme)
    page.goto(url)
    return page


def _take(page: Page, picture: _Picture) -> None:
    page.locator("#totals table").first.wait_for()
    page.locator("#file").evaluate("e => e.textContent = 'function/mapping.toml'")
    page.locator("#list").select_option("8")
    page.locator("#editor .ace_content").click()
    page.keyboard.press("Control+Home")
    page.keyboard.insert_text(picture.rule)
    page.locator("#difference .risk, #mistake:not([hidden])").first.wait_for()
    page.wait_for_timeout(500)  # until the cursor and the totals are drawn
    _save(page, picture.name)


def _save(page: Page, name: str) -> None:
    path = _ROOT / f"docs/{name}.png"
    page.screenshot(path=path)
    # A palette makes the file a third as large.
    Image.open(path).quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    main()
