"""A group whose subcommands are imported only when they are used.

https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import metadata
from typing import Any, NamedTuple, NoReturn

import click

_CHECKOUT = "local_stack"
_DISTRIBUTION = "segment-to-hyperline"


class Lazy(NamedTuple):
    """A command that is not imported yet."""

    place: str
    """Its module and its name in it, separated by a dot."""
    short_help: str
    """Its line in the list of commands."""


class LazyGroup(click.Group):
    """A group of the commands in *lazy_commands*, by name.

    The list of commands is shown without importing them.
    """

    def __init__(
        self, *arguments: Any, lazy_commands: Mapping[str, Lazy], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._lazy = lazy_commands
        # They stand for the real commands in the list and in suggestions.
        for name, lazy in lazy_commands.items():
            self.add_command(click.Command(name, short_help=lazy.short_help))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name; one of the local stack may be missing."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        lazy = self._lazy[cmd_name]
        module, _, name = lazy.place.rpartition(".")
        try:
            command: click.Command = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            if error.name != _CHECKOUT:
                raise
            return _create_stand_in(cmd_name, lazy.short_help)
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the list of commands."""
        rows = [
            (name, self.commands[name].get_short_help_str(formatter.width))
            for name in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _create_stand_in(name: str, short_help: str) -> click.Command:
    """Return a command for where the local stack is not installed."""
    steps = f"git clone, make setup, and .venv/bin/segment-to-hyperline {name}"
    urls = metadata(_DISTRIBUTION).get_all("Project-URL") or []
    (repository,) = (u.partition(", ")[2] for u in urls if u.startswith("Repository"))
    problem = f"{name} needs a checkout of the repository, {repository}: {steps}"

    def run() -> NoReturn:
        raise click.UsageError(problem)

    return click.Command(
        name,
        callback=run,
        help=f"{short_help}\n\n{problem}.",
        short_help=short_help,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
