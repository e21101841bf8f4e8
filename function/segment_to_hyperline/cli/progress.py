"""Show on the terminal how much of the events was read and compared."""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from segment_to_hyperline.archive.files import BUFFER_BYTES
from segment_to_hyperline.archive.hashing import WatchedReader
from segment_to_hyperline.archive.sources import (
    Item,
    Source,
    open_source,
    read_sources,
)

# How often the number of events is updated.
_EVENTS = 10_000
# How often a line is printed if there is no terminal.
_SECONDS = 10


def read_with_progress(sources: Sequence[Source]) -> Iterator[Item]:
    """Yield the events of *sources*, and show how much of them was read.

    The size of the standard input is not known, so only its events are counted.
    """
    sizes = [source.size for source in sources if source.size is not None]
    is_known = len(sizes) == len(sources)
    columns = (DownloadColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    text = "reading, {task.fields[events]:,} events"
    with _show(text, *(columns if is_known else (TimeElapsedColumn(),))) as bar:
        task = bar.add_task("", total=sum(sizes) if is_known else None, events=0)

        def open_counted(source: Source) -> io.BufferedReader:
            def watch(data: memoryview) -> None:
                bar.advance(task, len(data))

            file = WatchedReader(open_source(source), watch)
            return io.BufferedReader(file, BUFFER_BYTES)

        items = read_sources(sources, open_counted if is_known else open_source)
        for number, item in enumerate(items, 1):
            yield item
            if number % _EVENTS == 0:
                bar.update(task, events=number)


class Progress:
    """Shows what a command does: as a bar, or as a line now and then.

    Several threads can use it.
    """

    def __init__(self, bar: Bar, clock: Callable[[], float] = time.monotonic) -> None:
        self._bar = bar
        self._task = bar.add_task("starting", total=None)
        self._clock = clock
        self._shown_at = clock()
        self._phase = ""

    def report(self, phase: str, done: int, total: int) -> None:
        """Show that so much of the *total* of a phase is done; 0 if it is unknown."""
        self._phase = phase
        self._bar.update(
            self._task, description=phase, completed=done, total=total or None
        )
        share = f", {done:,} of {total:,}" if total else ""
        self._print(f"{phase}{share}")

    def report_wait(self, reason: str, seconds: float) -> None:
        """Show why a request is retried, and after how many seconds."""
        text = f"{reason}; trying again in {seconds:,.0f} s"
        description = f"{self._phase}: {text}" if self._phase else text
        self._bar.update(self._task, description=description)
        self._print(description)

    def _print(self, line: str) -> None:
        """Print *line* if there is no terminal, and the last one was long ago."""
        now = self._clock()
        if self._bar.disable and now - self._shown_at >= _SECONDS:
            self._shown_at = now
            click.echo(line, err=True)


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Yield what shows the progress of a command."""
    with _show("{task.description}", TimeElapsedColumn()) as bar:
        yield Progress(bar)


def _show(text: str, *columns: ProgressColumn) -> Bar:
    """Return a line with a bar, which is hidden if the output is not a terminal."""
    console = Console(stderr=True)
    return Bar(
        *(TextColumn(text), BarColumn(), *columns),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
