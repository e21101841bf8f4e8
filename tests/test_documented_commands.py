"""The commands in the documentation can be typed as they are."""

import json
import re
import shlex
import subprocess

import click
import pytest

from maintenance.reference import PAGE, list_commands, write_page
from segment_to_hyperline.cli.main import cli
from segment_to_hyperline.simulation.template import read_template
from tests import documents
from tests.documents import DOCUMENTS, HISTORY, PROGRAM, ROOT, Command

# Runs SAM's own parser for the argument of an option, in the environment of SAM.
PARSE = """
import json, sys
from samcli.cli.types import CfnParameterOverridesType
print(json.dumps(CfnParameterOverridesType().convert(sys.argv[1:], None, None)))
"""


def test_the_reference_is_up_to_date() -> None:
    """docs/cli.md has the help of every command. If it doesn't, run `make docs`."""
    assert PAGE.read_text("utf-8") == write_page()


@pytest.mark.parametrize(
    "context", [*list_commands()], ids=lambda context: context.command_path
)
def test_each_command_and_option_says_what_it_does(context: click.Context) -> None:
    """An option without a help would be listed, and not documented."""
    options = [p for p in context.command.params if isinstance(p, click.Option)]

    assert context.command.help
    assert context.command.epilog
    assert [option.opts for option in options if not option.help] == []


OURS = documents.list_commands(PROGRAM)
EXAMPLES = [
    Command("--help", tuple(shlex.split(example)))
    for context in list_commands()
    for example in re.findall("^Example: (.+)", context.command.epilog or "")
]


@pytest.mark.parametrize("command", [*OURS, *EXAMPLES], ids=str)
def test_a_command_can_be_parsed(command: Command) -> None:
    """It and its options exist, and their values are valid; only files can be missing.

    Nothing is read or run.
    """
    _, *words = command.words
    found: click.Command = cli
    context = None
    try:
        while isinstance(found, click.Group):
            # Our groups have no options that a document uses.
            context = found.make_context(found.name, [*words], context)
            _, below, words = found.resolve_command(context, words)
            assert below
            found = below
        found.make_context(found.name, words, context)
    except click.BadParameter as error:
        # A file of the reader.
        assert re.search("does not exist|No such file", str(error))  # noqa: PT017


def test_there_are_commands_on_each_page_about_them() -> None:
    """A page without any would not be tested."""
    pages = {command.document for command in OURS}

    assert pages >= {
        *("README.md", "docs/mapping.md", "docs/operations.md", "docs/reconcile.md"),
        *("docs/close.md", "docs/quarantine.md", "docs/doctor.md"),
    }


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_have_no_comments(document: str) -> None:
    """An interactive zsh takes `#` for an argument, unless it is configured.

    https://zsh.sourceforge.io/Doc/Release/Options.html#index-INTERACTIVECOMMENTS
    """
    comments = [
        line for line in documents.read_lines(document) if re.search(r"(^|\s)#\s", line)
    ]

    assert comments == []


@pytest.mark.parametrize("document", [*DOCUMENTS, HISTORY])
def test_targets_of_make_exist(document: str) -> None:
    """`make` has each target."""
    makefile = documents.read("Makefile")

    for target in re.findall(
        r"(?:`|^)make (\w+)", documents.read(document), re.MULTILINE
    ):
        assert f"\n{target}:" in makefile


def list_overrides() -> list[list[str]]:
    """Return the values of each `--parameter-overrides` that a reader can use."""
    option = "--parameter-overrides"
    typed = [
        list(command.words[command.words.index(option) + 1 :])
        for command in documents.list_commands("sam")
        if option in command.words
    ]
    inline = [
        words.split()
        for document in (*DOCUMENTS, "samconfig.toml", "template.yaml")
        for words in re.findall(
            rf"`sam deploy[^`]* {option} ([^`]+)`", documents.read(document)
        )
    ]
    configured = re.findall(
        r'^parameter_overrides = "([^"]+)"',
        documents.read("samconfig.toml"),
        re.MULTILINE,
    )
    return [*typed, *inline, *([each] for each in configured)]


OVERRIDES = list_overrides()


@pytest.mark.parametrize("values", OVERRIDES, ids=" ".join)
def test_sam_accepts_parameters(values: list[str]) -> None:
    """Its own parser reads the values as a person means them.

    It splits a value at spaces, and rejects what is not of its form.
    """
    python = ROOT / ".venv/stack/bin/python"
    done = subprocess.run(
        [python, "-c", PARSE, *values], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    parsed = json.loads(done.stdout)
    assert parsed == dict(
        pair.split("=", 1) for value in values for pair in value.split()
    )
    if values != ["Name=value"]:
        parameters = read_template()["Parameters"]
        assert parsed.keys() <= parameters.keys()
        for name, value in parsed.items():
            allowed = parameters[name].get("AllowedValues", [value])
            assert value in map(str, allowed)


def test_parameters_are_documented() -> None:
    """In the README and on the page about the daily check."""
    names = {value.partition("=")[0] for values in OVERRIDES for value in values}

    assert {"AlarmTopicArn", "ArchiveBucket", "MemorySize", "SmokeTest"} <= names
