"""The command `verify`."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from segment_to_hyperline import __version__
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.cli.statuses import CHECK_FAILED, fail, format_epilog
from segment_to_hyperline.closing.files import remake_report
from segment_to_hyperline.closing.folder import (
    EVENTS,
    MANIFEST,
    RESPONSES,
    create_folder,
    hash_files,
    read_manifest,
)
from segment_to_hyperline.reconciliation.expected.disk import explain_full_disk


@click.command(
    epilog=format_epilog(
        "verify january",
        {CHECK_FAILED: "a file was changed, or would be another one now"},
    ),
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Keep the report that was made again in this new folder.",
)
def verify(folder: Path, output: Path | None) -> None:
    """Make the report of a month again, and compare it with the one in FOLDER.

    It is made of what `close` recorded in FOLDER, without a network and without a key.
    The check fails if a file isn't byte for byte the same.
    """
    try:
        with explain_full_disk():
            changes = compare_files(folder, output)
    except InputError as error:
        raise click.UsageError(str(error)) from error
    for change in changes:
        click.echo(change)
    if changes:
        fail("the report is not as it was made")
    click.echo("The report follows from what was read, and no file was changed.")


def compare_files(folder: Path, output: Path | None) -> list[str]:
    """Return what is wrong with the files in *folder*; raises `InputError`."""
    if output and folder.resolve() in output.resolve().parents:
        raise InputError(f"'{output}' is in the folder of the report: choose another")
    manifest, written = read_manifest(folder)
    present = hash_files(folder)
    changes = [
        f"{name}: {_describe(name, present)}" for name in _differ(written, present)
    ]
    for name in (EVENTS, RESPONSES):
        if present.get(name) != written.get(name):
            problem = f"'{folder / name}' {_describe(name, present)}"
            raise InputError(f"{problem}: the report can't be made again without it")
    with _create_new(output) as new:
        remake_report(folder, new, manifest)
        remade = hash_files(new)
        same = (folder / MANIFEST).read_bytes() == (new / MANIFEST).read_bytes()
    now, made_with = __version__, manifest.version
    other = f" (made with version {made_with}, this is {now})"
    other = other if now != made_with else ""
    changes += [
        f"{name}: would be another one now{other}" for name in _differ(written, remade)
    ]
    if not same and not changes:
        changes.append(f"{MANIFEST}: was changed or added")
    return changes


def _differ(left: Mapping[str, str], right: Mapping[str, str]) -> list[str]:
    names = sorted(left.keys() | right.keys())
    return [name for name in names if left.get(name) != right.get(name)]


def _describe(name: str, present: Mapping[str, str]) -> str:
    return "was changed or added" if name in present else "is missing"


@contextmanager
def _create_new(output: Path | None) -> Iterator[Path]:
    """Yield the folder *output*, or a temporary one."""
    if output:
        with create_folder(output) as new:
            yield new
        return
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary)
        (path / EVENTS).parent.mkdir()
        yield path
