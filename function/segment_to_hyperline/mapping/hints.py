"""Explain why a text is not a JMESPath expression, with a hint for common mistakes."""

import re

from jmespath.exceptions import ParseError

from segment_to_hyperline.mapping.nodes import needs_quotes, write_name

# Names of other languages for JMESPath's operators.
_OPERATORS = {
    "and": "write && instead of and",
    "or": "write || instead of or",
    "not": "write !(a) instead of not a",
    "in": "write contains(b, a) instead of a in b",
}
_FUNCTIONS = dict(
    zip("+-*/%", ("add", "subtract", "multiply", "divide", "modulo"), strict=True)
)
# Everything that a name can be between, so that it can contain spaces and dashes.
_NAME = re.compile(r"""[^.,()\[\]{}|&=<>!'"`:@*?\n]+""")
_NUMBER = re.compile(r"-?[0-9.]+")


def explain(text: str, error: ParseError) -> str:
    """Return the problem with *text*, where it is, and what to write instead."""
    start, rest = text[: error.lex_position], text[error.lex_position :]
    problem = f"not a JMESPath expression; the error is at ▸: {start}▸{rest}"
    hint = _find_hint(text, error.lex_position)
    return f"{problem}; {hint}" if hint else problem


def _find_hint(text: str, position: int) -> str:
    rest = text[position:]
    if rest.startswith("="):
        return "compare with =="
    if rest[:1] in _FUNCTIONS and rest[1:2].isspace():
        return f"compute with a function: {_FUNCTIONS[rest[0]]}(a, b)"
    name = _find_name(text, position)
    for word in name.split():
        if word in _OPERATORS:
            return _OPERATORS[word]
    if _NUMBER.fullmatch(name):
        return f"write a number in backticks, as in `{name}`"
    if name and needs_quotes(name):
        return (
            "a name needs double quotes if it begins with a digit, or has a space, a"
            f" dash or another special character: {write_name(name)}"
        )
    return ""


def _find_name(text: str, position: int) -> str:
    """Return what can be a name around *position*, without space at its ends."""
    for match in _NAME.finditer(text):
        if match.start() <= position < match.end():
            return match.group().strip()
    return ""
