"""Read and map the input with all cores.

Each worker is a process that reads sources or parts of large ones, and sends what the
mapping makes of them through a pipe. A pipe is small, so a worker waits until this
process has received what it sent. If a worker ends, the pipe is closed, and so it is if
this process ends, so that neither waits for the other.
"""

import hashlib
import multiprocessing
import os
import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import NamedTuple

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.sources import WHOLE, Part, Source
from segment_to_hyperline.reconciliation.expected.disk import explain_full_disk
from segment_to_hyperline.reconciliation.expected.loading import (
    Batch,
    add_batch,
    map_source,
)
from segment_to_hyperline.reconciliation.expected.mappings import (
    DatedMapping,
    DatedRules,
)
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.progress import Report

# It takes about half a second to start workers, while one core maps this much.
_MIN_BYTES = 4_000_000
# How many bytes of events are in one of gzip, at least.
_COMPRESSION = 8
# A source with a larger share than this of a core's bytes is divided.
_MAX_SHARE = 0.25
_PHASE = "reading the events"
_CHANGED = "it was changed while it was read: run the command again"
_DIED = "a process that read the events was ended, maybe because of too little memory"


class Job(NamedTuple):
    """What is mapped, and with what."""

    mappings: Sequence[DatedMapping]
    """At least one. An event is mapped with the one that was deployed when Segment
    received it."""
    destination: str
    """The name of the destination in the events' field `integrations`."""
    sources: Sequence[Source]


class Loaded(NamedTuple):
    """What was read."""

    files: int
    events: int
    sha256: str
    """The hash over the hashes of the files, in their order."""
    digests: Sequence[tuple[str, str]] = ()
    """The names of the files, and the hashes of their bytes, in their order."""


class Task(NamedTuple):
    """What a worker maps at a time."""

    position: int
    """The position of the source."""
    part: Part


def load(job: Job, store: Store, report: Report, cores: int = 0) -> Loaded:
    """Add what the mapping makes of the input to *store*; raises `InputError`.

    *report* is called with bytes; the total is 0 if a size is unknown. The result is
    the same for any number of *cores*, by default all of them.
    """
    sizes = [source.size for source in job.sources if source.size is not None]
    total = sum(sizes) if len(sizes) == len(job.sources) else 0
    cores = cores or _count_cores()
    is_large = sum(map(_estimate, job.sources)) >= _MIN_BYTES and cores > 1
    batches = _map_with_workers(job, cores) if is_large else _map_here(job)
    events = done = 0
    digests: dict[int, str] = {}
    with explain_full_disk(), closing(batches):
        for position, batch in batches:
            events += add_batch(store, batch)
            done += batch.size
            # The parts are read at different times.
            if batch.digest and digests.setdefault(position, batch.digest) != (
                batch.digest
            ):
                name = job.sources[position].name
                raise InputError(f"'{name}': {_CHANGED}")
            report(_PHASE, done, total)
    report("sorting the events", 0, 0)
    with explain_full_disk():
        store.finish_input()
    ordered = [digests[position] for position in range(len(job.sources))]
    digest = hashlib.sha256("".join(ordered).encode()).hexdigest()
    names = [source.name for source in job.sources]
    every = list(zip(names, ordered, strict=True))
    return Loaded(len(job.sources), events, digest, every)


def _map_here(job: Job) -> Generator[tuple[int, Batch]]:
    rules = DatedRules(job.mappings)
    for position, source in enumerate(job.sources):
        for batch in map_source(position, source, rules, job.destination):
            yield position, batch


def _estimate(source: Source) -> int:
    """Return about how many bytes the events of a source have; 0 if unknown."""
    factor = _COMPRESSION if source.name.endswith(".gz") else 1
    return (source.size or 0) * factor


def _divide(sources: Sequence[Source], cores: int) -> Iterator[Task]:
    """Yield what to map; every source and all its parts, once."""
    most = sum(map(_estimate, sources)) / cores * _MAX_SHARE
    for position, source in enumerate(sources):
        is_large = _estimate(source) > most
        if is_large and source.stored is None:  # S3 bills each time that it is read
            yield from (Task(position, Part(n, cores)) for n in range(cores))
        else:
            yield Task(position, WHOLE)


def _map_with_workers(job: Job, cores: int) -> Generator[tuple[int, Batch]]:
    tasks = list(_divide(job.sources, cores))
    waiting = iter(tasks)
    positions: dict[Connection, int] = {}
    with ExitStack() as stack:
        for _ in tasks[:cores]:
            worker, pipe = _start(job)
            stack.callback(worker.join)
            stack.callback(worker.terminate)
            stack.callback(pipe.close)
            _assign(pipe, waiting, positions)
        while positions:
            ready = wait(list(positions))
            for pipe in [each for each in positions if each in ready]:
                batch = _receive(pipe)
                yield positions[pipe], batch
                if batch.digest:
                    _assign(pipe, waiting, positions)


def _start(job: Job) -> tuple[SpawnProcess, Connection]:
    """Return a new worker, and the pipe to it."""
    # A fork would copy the threads and connections of this process.
    context = multiprocessing.get_context("spawn")
    try:
        ours, theirs = context.Pipe()
        with theirs, _without_interrupts():
            worker = context.Process(target=work, args=(theirs, job), daemon=True)
            worker.start()
            return worker, ours
    except OSError as error:
        raise InputError(f"no process can be started: {error.strerror}") from error


def _assign(
    pipe: Connection, waiting: Iterator[Task], positions: dict[Connection, int]
) -> None:
    """Give a worker the next task, or none any more."""
    task = next(waiting, None)
    if task is None:
        positions.pop(pipe, None)
        return
    positions[pipe] = task.position
    try:
        pipe.send(task)
    except OSError as error:
        raise InputError(_DIED) from error


def _receive(pipe: Connection) -> Batch:
    """Return the next batch of a worker, or raise what it raised."""
    try:
        message = pipe.recv()
    except (EOFError, OSError) as error:
        raise InputError(_DIED) from error
    if isinstance(message, Exception):
        raise message
    return Batch(*message)


def work(pipe: Connection, job: Job) -> None:
    """Map what comes through *pipe*, until it is closed."""
    rules = DatedRules(job.mappings)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            position, part = pipe.recv()
            try:
                source = job.sources[position]
                arguments = position, source, rules, job.destination, part
                for batch in map_source(*arguments):
                    pipe.send(tuple(batch))
            except (EOFError, BrokenPipeError, ConnectionResetError):
                raise
            except Exception as error:  # noqa: BLE001 - raised by the other process
                pipe.send(error)
                return


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C doesn't end, since it is for this one only."""
    # The first process would start it, and stop blocking the signal.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _count_cores() -> int:
    """Return how many processes can run at a time."""
    with suppress(AttributeError):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
