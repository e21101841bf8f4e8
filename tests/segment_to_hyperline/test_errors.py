"""The errors of the package: one base class, and a tree that shows them all."""

import importlib
import pkgutil
import textwrap
from collections.abc import Iterator

import segment_to_hyperline
from segment_to_hyperline import errors
from segment_to_hyperline.errors import Error


def find_errors() -> set[type[BaseException]]:
    """Return the exceptions that the modules of the package define."""
    package = segment_to_hyperline
    names = {
        m.name for m in pkgutil.walk_packages(package.__path__, "segment_to_hyperline.")
    }
    modules = map(importlib.import_module, names - {"segment_to_hyperline.__main__"})
    return {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, BaseException)
        and value.__module__ == module.__name__
    }


def draw(error: type[Error], indent: str = "") -> Iterator[str]:
    """Yield a line for each error below *error*: its name, and its module."""
    below = sorted(error.__subclasses__(), key=lambda e: (e.__module__, e.__name__))
    for number, each in enumerate(below, start=1):
        is_last = number == len(below)
        module = each.__module__.partition(".")[2]
        yield f"{indent}{'└' if is_last else '├'}── {each.__name__} ({module})"
        yield from draw(each, indent + ("    " if is_last else "│   "))


def test_every_error_has_the_same_base_class() -> None:
    """Who uses the package as a library can catch all of its errors."""
    found = find_errors()

    assert len(found) > 10
    assert [error for error in found if not issubclass(error, Error)] == []


def test_the_tree_of_errors_is_complete() -> None:
    """errors.py shows each error and the module that raises it."""
    assert find_errors()
    tree = textwrap.indent("\n".join(["Error (errors)", *draw(Error)]), "    ")

    assert f"\n\n{tree}\n\n" in (errors.__doc__ or ""), tree


def test_every_error_says_what_is_wrong() -> None:
    """Its docstring says when it is raised."""
    for error in find_errors() - {Error}:
        assert (error.__doc__ or "").startswith("Raised "), error
