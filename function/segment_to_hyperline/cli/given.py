"""The options on the command line, and an error for those without an effect."""

from collections.abc import Iterable

import click
from click.core import ParameterSource


def find_given() -> list[str]:
    """Return the options on the command line by their first name, and arguments.

    An argument is in upper case, as in the help. An option that is only set by a
    variable of the environment isn't among them.
    """
    context = click.get_current_context()
    return [
        _find_name(parameter)
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "")
        is ParameterSource.COMMANDLINE
    ]


def _find_name(parameter: click.Parameter) -> str:
    name = parameter.opts[0]
    return name.upper() if isinstance(parameter, click.Argument) else name


def reject_given(options: Iterable[str], when: str) -> None:
    """Raise `UsageError` if one of *options* is given, which has no effect *when*."""
    without_effect = {*options}
    for option in find_given():
        if option in without_effect:
            raise click.UsageError(f"{option} has no effect {when}")
