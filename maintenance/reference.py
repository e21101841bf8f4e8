"""Write docs/cli.md, which has the help of every command.

`make docs` runs it.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from segment_to_hyperline.cli.main import cli

PAGE = Path(__file__).parents[1] / "docs/cli.md"
NAME = "segment-to-hyperline"
_WIDTH = 80
_HEAD = f"""# The commands

<!-- `make docs` writes this page from the help of the commands. -->

This is the help of `{NAME}` and of each of its commands, as `--help` prints it.

"""


def list_commands(
    command: click.Command = cli, name: str = NAME, parent: click.Context | None = None
) -> Iterator[click.Context]:
    """Yield the context of *command*, and of all commands below it."""
    context = click.Context(
        command,
        parent,
        info_name=name,
        terminal_width=_WIDTH,
        **command.context_settings,
    )
    yield context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below
            yield from list_commands(below, each, context)


def write_page() -> str:
    """Return the page."""
    contexts = list(list_commands())
    links = [f"- {_link(context)}\n" for context in contexts]
    sections = [
        f"\n## {_find_title(context)}\n\n```\n{context.get_help()}\n```\n"
        for context in contexts
    ]
    return _HEAD + "".join((*links, *sections))


def _find_title(context: click.Context) -> str:
    """Return the words after the name of the program, or the name."""
    return context.command_path.removeprefix(f"{NAME} ")


def _link(context: click.Context) -> str:
    title = _find_title(context)
    short = f": {context.command.get_short_help_str(_WIDTH)}" if context.parent else ""
    return f"[`{title}`](#{title.replace(' ', '-')}){short}"


if __name__ == "__main__":
    PAGE.write_text(write_page(), "utf-8")
    print(f"Written: {PAGE.relative_to(PAGE.parents[1])}")
