"""Build HTML whose texts are escaped.

Pure: no network, no environment, no clock.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape

from segment_to_hyperline.preview.usage import format_number
from segment_to_hyperline.text import cut, make_printable

# An id can be longer than a page.
_MAX_LENGTH = 300


class Html(str):
    """A text that is HTML, so that it isn't escaped again."""

    __slots__ = ()


type Content = str | int | Decimal | Html | None


def show(content: Content) -> Html:
    """Return HTML that shows a text or a number; None is empty."""
    if isinstance(content, Html):
        return content
    if isinstance(content, int | Decimal):
        return Html(format_number(Decimal(content)))
    text = content or ""
    printable = cut(make_printable(text), _MAX_LENGTH) if text else ""
    # Lone surrogates can't be written in UTF-8.
    return Html(escape(printable.encode(errors="backslashreplace").decode()))


def tag(name: str, *contents: Content, **attributes: str | int) -> Html:
    """Return an element; an attribute's underscores stand for hyphens.

    `class_` is the attribute `class`.
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{show(str(value))}"'
        for key, value in attributes.items()
    )
    return Html(f"<{name}{shown}>{''.join(map(show, contents))}</{name}>")


def join(parts: Iterable[Html]) -> Html:
    """Return all *parts*, one after another."""
    return Html("".join(parts))


def table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[Content]]
) -> Html:
    """Return a table; a column with numbers is aligned to the right.

    It is empty if there are no *rows*.
    """
    every = list(rows)
    if not every:
        return Html()
    are_numbers = [any(map(_is_number, column)) for column in zip(*every, strict=True)]
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", _row("th", header, are_numbers)),
            tag("tbody", join(_row("td", row, are_numbers) for row in every)),
        ),
        class_="scroll",
    )


def _row(name: str, cells: Sequence[Content], are_numbers: Sequence[bool]) -> Html:
    scope = {"scope": "col"} if name == "th" else {}
    return tag(
        "tr",
        *(
            tag(name, cell, **scope, **({"class_": "number"} if is_number else {}))
            for cell, is_number in zip(cells, are_numbers, strict=True)
        ),
    )


def _is_number(content: Content) -> bool:
    return isinstance(content, int | Decimal)
