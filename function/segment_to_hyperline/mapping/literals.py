"""Reject literals that JMESPath reads as the names of fields.

`[?paid == true]` compares two fields, and so does `[?type == "seat"]`: the field `true`
is always null. Only the tokens show how a name is written; the parsed expression has
two fields either way.
https://jmespath.org/specification.html#grammar
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jmespath.lexer import Lexer

from segment_to_hyperline.mapping.nodes import needs_quotes
from segment_to_hyperline.mapping.validation import ExpressionError

# What people write for a JSON value.
_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE"), "true"),
    **dict.fromkeys(("false", "False", "FALSE"), "false"),
    **dict.fromkeys(("null", "Null", "NULL", "None", "undefined"), "null"),
}
_SUSPECT = re.compile(rf'"|\b({"|".join(_WORDS)})\b')
# jmespath.py reads `True` in backticks as the string 'True'.
_BARE_WORD = re.compile(r"`\s*[A-Za-z]")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

_COMPARATORS = {"eq", "ne", "lt", "lte", "gt", "gte"}
_CLOSING = {"rparen", "rbracket", "rbrace"}
_OPENING = {"lparen", "lbracket", "lbrace", "filter"}
# A name is a whole operand if one of these follows, and only a part of it otherwise.
_ENDS = {"eof", "pipe", "or", "and", "comma", *_CLOSING, *_COMPARATORS}

type _Token = Mapping[str, Any]  # type, value, start: as jmespath.py's lexer yields it
_START: _Token = {"type": "start", "value": ""}


def check_literals(text: str) -> None:
    """Raise `ExpressionError` if the valid expression *text* has such a literal."""
    if not _SUSPECT.search(text):
        return
    tokens: list[_Token] = [_START, *Lexer().tokenize(text)]
    for index, token in enumerate(tokens):
        match token:
            case {"type": "unquoted_identifier", "value": word} if word in _WORDS:
                if _is_whole(tokens, index):
                    raise ExpressionError(_explain_word(word))
            case {"type": "literal", "value": str(word), "start": start}:
                if word in _WORDS and _BARE_WORD.match(text, start):
                    raise ExpressionError(_explain_backticks(word))
            case {"type": "quoted_identifier", "value": name}:
                if _is_literal(name) and _is_value(tokens, index):
                    raise ExpressionError(_explain_name(name))


def _explain_word(word: str) -> str:
    return f"{word} without backticks is the name of a field; write `{_WORDS[word]}`"


def _explain_backticks(word: str) -> str:
    return (
        f"`{word}` is the string '{word}', because JSON has no such value; write"
        f" `{_WORDS[word]}`"
    )


def _explain_name(name: str) -> str:
    """Return what to write instead of the quoted *name*."""
    problem = f'"{name}" in double quotes is the name of a field; for the string'
    if name in _WORDS:
        return f"{problem} write '{name}', and for the JSON value `{_WORDS[name]}`"
    if not name:
        return f"{problem} write ''"
    if needs_quotes(name):
        return f"{problem} write '{name}', for the number `{name}`, or @.\"{name}\""
    return f"{problem} write '{name}', and for the field {name}"


def _is_literal(name: str) -> bool:
    """Return whether a field's *name* in quotes is more likely meant as a literal."""
    return not needs_quotes(name) or not name or bool(_NUMBER.fullmatch(name))


def _is_whole(tokens: Sequence[_Token], index: int) -> bool:
    """Return whether the name at *index* is not a part of a longer path, or a key."""
    is_step = tokens[index - 1]["type"] == "dot"
    return not is_step and tokens[index + 1]["type"] in _ENDS


def _is_value(tokens: Sequence[_Token], index: int) -> bool:
    """Return whether the quoted name at *index* is where a string can be meant.

    It is the operand of a comparison, an argument, an element of a list, or the default
    after `||`. Elsewhere a string has no use, or the name selects a field as usual.
    """
    if not _is_whole(tokens, index):
        return False
    before, after = index - 1, index + 1
    while _is_group(tokens, before) and tokens[after]["type"] == "rparen":
        before, after = before - 1, after + 1
    kinds = {tokens[before]["type"], tokens[after]["type"]}
    if kinds & _COMPARATORS or tokens[before]["type"] == "or":
        return tokens[after]["type"] in _ENDS
    # The list in `properties.["seats", "plan"]` selects fields, others have values.
    is_item = kinds <= {"lparen", "lbracket", "comma", "rparen", "rbracket"}
    opening = _find_opening(tokens, before + 1)
    return is_item and tokens[opening - 1]["type"] not in {"dot", "pipe"}


def _is_group(tokens: Sequence[_Token], index: int) -> bool:
    """Return whether a parenthesis opens at *index* that is not a function's."""
    is_call = tokens[index - 1]["type"] == "unquoted_identifier"
    return tokens[index]["type"] == "lparen" and not is_call


def _find_opening(tokens: Sequence[_Token], index: int) -> int:
    """Return where the innermost bracket opens that has *index* in it, or 0."""
    depth = 1
    while depth and index:
        index -= 1
        kind = tokens[index]["type"]
        depth += (kind in _CLOSING) - (kind in _OPENING)
    return index
