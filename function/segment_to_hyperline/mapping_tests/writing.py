"""Write a test of the mapping as TOML."""

import json
import re
from collections.abc import Iterator
from typing import Any

from segment_to_hyperline.preview.verdict import Verdict

# What a literal string of TOML can't contain. JSON can escape it.
_UNSAFE = re.compile(r"['\x7f\ud800-\udfff]")


def write_test(name: str, event: Any, verdict: Verdict) -> str:
    """Return a test that expects the *verdict* on an *event*."""
    text = json.dumps(event, indent=2, ensure_ascii=False)
    text = _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    head = f"[[tests]]\nname = {_write(name)}\nevent = '''\n{text}\n'''\n"
    return head + "".join(_write_expected(verdict))


def _write_expected(verdict: Verdict) -> Iterator[str]:
    match verdict.outcome:
        case "billed":
            for billable in verdict.billable:
                fields = dict(billable.fields())
                record: Any = fields.pop("record")
                del record["id"]
                yield "[[tests.billed]]\n"
                yield from (f"{name} = {_write(v)}\n" for name, v in fields.items())
                pairs = [f"{_write(name)} = {_write(v)}" for name, v in record.items()]
                yield f"record = {{ {', '.join(pairs)} }}\n"
        case "filtered":
            yield "filtered = true\n"
        case _:
            yield f"quarantined = {_write(verdict.reason)}\n"


def _write(value: Any) -> str:
    """Return a string, a number, a boolean or a list of these: JSON is TOML here."""
    # Not as ASCII: JSON escapes an emoji as two surrogates, which TOML rejects.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", r"\u007f")
