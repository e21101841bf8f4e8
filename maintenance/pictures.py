"""Take the pictures of the documentation: `.venv/bin/python -m maintenance.pictures`.

They need Chromium, as the tests of the page do.
"""

import shutil
import tempfile
import threading
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from segment_to_hyperline.studio.server import Server
from segment_to_hyperline.studio.studio import Studio

_ROOT = Path(__file__).parents[1]
_RULE = """[[rules]]
event = "Order Completed"
each = "properties.products"
event_type = "'Product Ordered'"
record = { sku = "item.sku", quantity = "item.quantity" }

"""
_EVENTS = ("events/sample.ndjson", "events/recipes.ndjson")


class _Picture(NamedTuple):
    name: str
    size: tuple[int, int]
    scheme: Literal["light", "dark"]
    rule: str


_PICTURES = (
    _Picture("studio", (1_400, 980), "light", _RULE),
    _Picture("studio-mistake", (800, 620), "dark", _RULE.replace("item.q", "itm.q")),
)


def main() -> None:
    """Write the pictures into docs/."""
    with tempfile.TemporaryDirectory() as folder:
        mapping = Path(folder, "mapping.toml")
        text = (_ROOT / "function/mapping.toml").read_text("utf-8")
        mapping.write_text(text[text.index("[[rules]]") :], "utf-8")
        studio = Studio(mapping)
        for name in _EVENTS:
            studio.events.read(name, (_ROOT / name).read_bytes())
        with Server(studio) as server, sync_playwright() as playwright:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            path = shutil.which("chromium") or shutil.which("google-chrome")
            options = ["--no-sandbox"]  # only this page is opened
            with playwright.chromium.launch(executable_path=path, args=options) as b:
                for picture in _PICTURES:
                    width, height = picture.size
                    page = b.new_page(
                        viewport={"width": width, "height": height},
                        color_scheme=picture.scheme,
                    )
                    page.goto(server.url)
                    _take(page, picture)
            server.shutdown()


def _take(page: Page, picture: _Picture) -> None:
    page.locator("#totals table").first.wait_for()
    page.locator("#file").evaluate("e => e.textContent = 'function/mapping.toml'")
    page.locator("#list").select_option("8")
    page.locator("#editor .ace_content").click()
    page.keyboard.press("Control+Home")
    page.keyboard.insert_text(picture.rule)
    page.locator("#difference .risk, #mistake:not([hidden])").first.wait_for()
    page.wait_for_timeout(500)  # until the cursor and the totals are drawn
    path = _ROOT / f"docs/{picture.name}.png"
    page.screenshot(path=path)
    # A palette makes the file a third as large.
    Image.open(path).quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    main()
