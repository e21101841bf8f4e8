"""Match lines of JSON against filter patterns as CloudWatch Logs does.

Only what AWS documents for JSON is known; anything else raises `PatternError`.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html
"""

import operator
import re
from collections.abc import Callable
from typing import Any

type Matcher = Callable[[Any], bool]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<selector>\$(?:\.[\w-]+(?:\[\d+\])*)+)
      | (?P<operator>&&|\|\||!=|<=|>=|[=<>(){}])
      | (?P<string>"[^"\\]*")
      | (?P<word>[\w.+*-]+)
    )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?")
_NUMERIC: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_MISSING = object()


class PatternError(ValueError):
    """Raised for a pattern whose meaning AWS doesn't document."""


def compile_pattern(pattern: str) -> Matcher:
    """Return a function that says whether a JSON value matches *pattern*."""
    parser = _Parser(_tokenize(pattern))
    parser.expect("{")
    matcher = parser.parse_any()
    parser.expect("}")
    if parser.tokens:
        raise PatternError(f"more after }} in {pattern}")
    return matcher


def _tokenize(pattern: str) -> list[str]:
    tokens, position = [], 0
    while pattern[position:].strip():
        match = _TOKEN.match(pattern, position)
        if not match:
            raise PatternError(f"can't read {pattern[position:]!r}")
        tokens.append(match[match.lastgroup or 0])
        position = match.end()
    return tokens


class _Parser:
    """Reads tokens from left to right; && binds more tightly than ||."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens

    def expect(self, token: str) -> None:
        if not self.tokens or self.tokens.pop(0) != token:
            raise PatternError(f"expected {token}")

    def parse_any(self) -> Matcher:
        matchers = [self.parse_all()]
        while self._skip("||"):
            matchers.append(self.parse_all())
        return lambda value: any(matches(value) for matches in matchers)

    def parse_all(self) -> Matcher:
        matchers = [self.parse_condition()]
        while self._skip("&&"):
            matchers.append(self.parse_condition())
        return lambda value: all(matches(value) for matches in matchers)

    def parse_condition(self) -> Matcher:
        if self._skip("("):
            matcher = self.parse_any()
            self.expect(")")
            return matcher
        selector, sign, text = [*self.tokens, "", "", ""][:3]
        if not selector.startswith("$"):
            raise PatternError(f"expected a field instead of {selector!r}")
        del self.tokens[:3]
        match sign, text:
            case "IS", "NULL":
                return lambda value: _select(value, selector) is None
            case "IS", "TRUE" | "FALSE":
                return lambda value: _select(value, selector) is (text == "TRUE")
            case "NOT", "EXISTS":
                return lambda value: _select(value, selector) is _MISSING
        compare = _compile_comparison(sign, text)
        return lambda value: compare(_select(value, selector))

    def _skip(self, token: str) -> bool:
        if self.tokens[:1] != [token]:
            return False
        self.tokens.pop(0)
        return True


def _select(value: Any, selector: str) -> Any:
    """Return what *selector* points to in *value*, or `_MISSING`."""
    for name, index in re.findall(r"\.([\w-]+)|\[(\d+)\]", selector):
        match value:
            case dict() if name in value:
                value = value[name]
            case list() if index and int(index) < len(value):
                value = value[int(index)]
            case _:
                return _MISSING
    return value


def _compile_comparison(sign: str, text: str) -> Matcher:
    """Return a function that compares a number or a string; others never match."""
    if sign in _NUMERIC and _NUMBER.fullmatch(text):
        number, compare = float(text), _NUMERIC[sign]
        return lambda value: _is_number(value) and compare(value, number)
    if sign not in {"=", "!="} or text[:1] in "${}()=<>!&|":
        raise PatternError(f"can't compare with {sign} {text}")
    regex = _compile_wildcards(text.strip('"'))
    return lambda value: (
        (isinstance(value, str) or _is_number(value))
        and bool(regex.fullmatch(str(value))) == (sign == "=")
    )


def _compile_wildcards(text: str) -> re.Pattern[str]:
    """Return the expression for *text*, in which * is allowed at either end."""
    core = text.removeprefix("*").removesuffix("*")
    if "*" in core:
        raise PatternError(f"* inside of {text}")
    return re.compile(
        (".*" if text.startswith("*") else "")
        + re.escape(core)
        + (".*" if text.endswith("*") else ""),
        re.DOTALL,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
