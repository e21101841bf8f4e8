"""The command `studio`."""

import contextlib
import errno
import signal
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import click

from segment_to_hyperline import defaults
from segment_to_hyperline.archive.captured import Captured
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.sources import find_sources
from segment_to_hyperline.cli.mappings import mapping_option
from segment_to_hyperline.cli.progress import read_with_progress
from segment_to_hyperline.cli.statuses import format_epilog
from segment_to_hyperline.studio.files import read_text
from segment_to_hyperline.studio.server import Server
from segment_to_hyperline.studio.studio import Studio
from segment_to_hyperline.text import format_count


@click.command(epilog=format_epilog("studio events/sample.ndjson"))
@click.argument("events", nargs=-1)
@mapping_option
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    help="Port of the page; by default any that is free.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address of the page.")
def studio(
    events: tuple[str, ...], mapping: Path, port: int, *, no_browser: bool
) -> None:
    """Edit the mapping on a page, and see at once what it bills.

    EVENTS are read as preview reads them; more can be pasted into the page, or dropped
    there. The page is only on this machine, and its address has a random token. The
    events stay in memory. Nothing is written, except the mapping when you save it, and
    an event that you save as a test, without its personal fields.
    """
    if defaults.is_installed(mapping):
        raise click.UsageError(
            f"name your mapping with --mapping, because an update replaces {mapping};"
            " you can begin with a copy of it"
        )
    page = Studio(mapping)
    try:
        read_text(mapping)
        page.events.add(read(events))
        server = Server(page, port)
    except InputError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        problem = f"port {port} is in use; choose another --port, or leave it out"
        raise click.UsageError(problem) from error
    kept = page.events.kept
    print(f"{format_count(kept.total, 'event')}, {mapping}")
    print(f"The page is at {server.url}\nPress Ctrl-C to end.", flush=True)
    # A page that doesn't wait for a response closes the connection.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    with server, contextlib.suppress(KeyboardInterrupt):
        if not no_browser:
            # A browser can begin to load the page before it returns.
            threading.Thread(target=open_browser, args=(server.url,)).start()
        server.serve_forever()


def open_browser(url: str) -> None:
    """Open the page, or say that its address must be opened."""
    if not webbrowser.open(url):
        click.echo("No browser was found: open the address in one.", err=True)


def read(events: tuple[str, ...]) -> Iterator[Captured]:
    """Yield the events in the files; raises `InputError`."""
    yield from (item.captured for item in read_with_progress(find_sources(events)))
