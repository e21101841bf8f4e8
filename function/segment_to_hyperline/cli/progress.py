"""Show on the terminal how much of the events was read and compared."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from segment_to_hyperline.archive.files import (
    BUFFER_BYTES,
    STANDARD_INPUT,
    Item,
    open_input,
    read_files,
)

if TYPE_CHECKING:  # it imports what a preview doesn't need
    from segment_to_hyperline.reconciliation.reconcile import Step

# How often the number of events is updated.
_EVENTS = 10_000


def read_with_progress(names: Sequence[str]) -> Iterator[Item]:
    """Yield the events of the files *names*, and show how much of them was read.

    The size of the standard input is not known, so only its events are counted.
    """
    is_known = STANDARD_INPUT not in names
    size = sum(Path(name).stat().st_size for name in names) if is_known else None
    columns = (DownloadColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    text = "reading, {task.fields[events]:,} events"
    with _show(text, *(columns if is_known else (TimeElapsedColumn(),))) as bar:
        task = bar.add_task("", total=size, events=0)

        def open_counted(name: str) -> io.BufferedReader:
            file = bar.open(name, "rb", BUFFER_BYTES, task_id=task)
            return io.BufferedReader(file, BUFFER_BYTES)  # type: ignore[arg-type] # it is a RawIOBase

        items = read_files(names, open_counted if is_known else open_input)
        for number, item in enumerate(items, 1):
            yield item
            if number % _EVENTS == 0:
                bar.update(task, events=number)


@contextmanager
def show_steps() -> Iterator[Callable[["Step"], None]]:
    """Yield a function that shows how far a reconciliation is."""
    text = "comparing {task.description}, {task.fields[requests]:,} requests"
    with _show(text, TimeElapsedColumn()) as bar:
        task = bar.add_task("", total=None, requests=0)

        def show(step: "Step") -> None:
            bar.update(
                task,
                description=step.label,
                total=step.total,
                completed=step.number,
                requests=step.requests,
            )

        yield show


def _show(text: str, *columns: ProgressColumn) -> Progress:
    """Return a line with a bar, which is hidden if the output is not a terminal."""
    console = Console(stderr=True)
    return Progress(
        *(TextColumn(text), BarColumn(), *columns),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
