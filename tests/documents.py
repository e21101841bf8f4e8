"""The documents of the repository, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
# The changelog is about earlier versions too.
HISTORY = "CHANGELOG.md"
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "bench/*.md")
    for path in ROOT.glob(pattern)
    if path.name != HISTORY
)
PROGRAM = "segment-to-hyperline"
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# What ends a command, or is between two.
_SEPARATORS = {"|", "||", "&&", ";", ">", "<", "&"}


class Command(NamedTuple):
    """A command in a block of a document."""

    document: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document}: {shlex.join(self.words)}"


def read(document: str) -> str:
    """Return the text of *document*."""
    return (ROOT / document).read_text("utf-8")


def read_prose(document: str) -> str:
    """Return *document* without its blocks."""
    return _BLOCK.sub("", read(document))


def read_lines(document: str) -> Iterator[str]:
    """Yield the lines of the blocks without a language; a backslash joins two."""
    for _, language, block in _BLOCK.findall(read(document)):
        if not language:
            yield from re.sub(r"\\\n\s*", "", block).splitlines()


def list_commands(program: str) -> list[Command]:
    """Return the commands of all documents that run *program*."""
    return [
        Command(document, words)
        for document in DOCUMENTS
        for line in read_lines(document)
        if program in line
        for words in _split(line)
        if words and words[0].rpartition("/")[2] == program
    ]


def _split(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the commands in *line*; a line that isn't one can't be split."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    command: list[str] = []
    try:
        for word in lexer:
            if word in _SEPARATORS:
                yield tuple(command)
                command = []
            else:
                command.append(word)
    except ValueError:  # an apostrophe in what a command prints
        return
    yield tuple(command)
