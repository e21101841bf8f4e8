"""All cores map the input, and the result is that of one core."""

import gzip
import hashlib
import json
import multiprocessing
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_stack.segment_requests import write
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.s3_objects import find_client
from segment_to_hyperline.archive.sources import Part, Source, find_sources
from segment_to_hyperline.reconciliation.expected.disk import explain_full_disk
from segment_to_hyperline.reconciliation.expected.mappings import DatedMapping
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.expected.workers import (
    Job,
    Loaded,
    Task,
    load,
    work,
)
from tests.samples import track
from tests.segment_to_hyperline.archive.fake_s3 import FakeS3, Fault
from tests.segment_to_hyperline.reconciliation.helpers import START

ROOT = Path(__file__).parents[3]
MAPPINGS = [
    DatedMapping(0, (ROOT / "function/mapping.toml").read_bytes(), "mapping.toml")
]
EVENTS = [
    track(
        messageId=f"m-{number % 4_500}",
        receivedAt=f"2026-01-{1 + number % 7:02}T00:00:00Z",
        timestamp="2026-01-01T00:00:00Z",
        properties={"seats": number, "plan": "team" * 300},
        userId=f"customer-{number % 9}" if number % 50 else None,
    )
    for number in range(5_000)
]
# What a process runs that a test ends: it prints its workers, and then that it waits.
SCRIPT = """
import multiprocessing, sys, time
from pathlib import Path
from segment_to_hyperline.archive.sources import find_sources
from segment_to_hyperline.reconciliation.expected.mappings import DatedMapping
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.expected.workers import Job, load

def report(phase, done, total):
    workers = multiprocessing.active_children()
    print(*[worker.pid for worker in workers], flush=True)
    time.sleep(60)

if __name__ == "__main__":
    mapping = DatedMapping(0, Path(sys.argv[1]).read_bytes(), "m")
    job = Job([mapping], "Webhooks (Actions)", find_sources(sys.argv[2:]))
    with Store() as store:
        load(job, store, report, cores=2)
"""


def save(folder: Path, *parts: Sequence[Any]) -> list[Source]:
    """Return files with these events, a half of them compressed."""
    for number, events in enumerate(parts):
        data = "".join(write(event) + "\n" for event in events).encode()
        path = folder / f"{number:03}{'.gz' if number % 2 else ''}"
        path.write_bytes(gzip.compress(data) if number % 2 else data)
    return find_sources([str(folder)])


def run(sources: list[Source], cores: int) -> tuple[Loaded, Any]:
    """Return what is loaded, and everything in the store."""
    with Store() as store:
        job = Job(MAPPINGS, "Webhooks (Actions)", sources)
        loaded = load(job, store, lambda *_: None, cores)
        expected = sorted(each._replace(number=0) for each in store.expected())
        return loaded, (
            expected,
            store.sequences(event["messageId"] for event in EVENTS),
            store.count_outcomes(),
            list(store.unbilled(0, 1 << 60)),
            list(store.duplicates()),
            {name: store.superseded(name) for name in store.event_types()},
            store.unreadable(),
        )


def count_workers() -> int:
    """Return how many workers run."""
    return len(multiprocessing.active_children())


def run_and_count(sources: list[Source], cores: int) -> list[int]:
    """Return how many workers run whenever the progress is reported."""
    running: list[int] = []
    with Store() as store:
        job = Job(MAPPINGS, "", sources)
        load(job, store, lambda *_: running.append(count_workers()), cores)
    return running


def record_progress(sources: list[Source], cores: int) -> list[tuple[str, int, int]]:
    """Return what is reported."""
    seen: list[tuple[str, int, int]] = []
    with Store() as store:
        job = Job(MAPPINGS, "", sources)
        load(job, store, lambda *each: seen.append(each), cores)
    return seen


@contextmanager
def limit(kind: int, number: int) -> Iterator[None]:
    """Limit what this process can use of the system."""
    limits = resource.getrlimit(kind)
    resource.setrlimit(kind, (number, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, limits)


def find_unused() -> int:
    """Return the number that the next file would get."""
    number = os.dup(0)
    os.close(number)
    return number


def is_running(pid: int) -> bool:
    """Return whether a process runs; one that ended can still be listed."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text("ascii")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def wait_for_end(pids: list[int]) -> None:
    """Wait until none of these processes runs."""
    for _ in range(600):
        if not any(map(is_running, pids)):
            return
        time.sleep(0.1)
    raise AssertionError(pids)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    """So many bytes that workers are started, in one large file and small ones."""
    events = EVENTS[4_500:]
    parts = [EVENTS[:4_500], *(events[n::5] for n in range(5)), []]
    return save(tmp_path_factory.mktemp("large"), *parts)


@given(st.lists(st.integers(0, 300), max_size=8), st.integers(1, 3))
@settings(max_examples=40)
def test_events_can_be_in_any_files(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], cores: int
) -> None:
    """Only the versions decide, and of those received at once, the later one."""
    bounds = [0, *sorted(cuts), 300]
    events = [EVENTS[n % 40 + n // 40] for n in range(300)]
    parts = [events[start:end] for start, end in pairwise(bounds)]

    loaded, found = run(save(tmp_path_factory.mktemp("some"), *parts), cores)
    whole, expected = run(save(tmp_path_factory.mktemp("one"), events), 1)

    assert (loaded.files, loaded.events) == (len(parts), whole.events)
    places = expected[1].values()
    assert len(set(places)) == len(set(found[1].values())) > 40
    assert (found[0], found[2:]) == (expected[0], expected[2:])
    order = sorted(found[1], key=found[1].__getitem__)
    assert order == sorted(expected[1], key=expected[1].__getitem__)


@pytest.mark.parametrize("cores", [2, 3])
def test_all_cores_find_what_one_finds(large: list[Source], cores: int) -> None:
    """Whole files and parts of a large one, also what can't be read, in its order."""
    path = Path(large[0].name).with_name("damaged")
    path.write_bytes(b"?\n" + gzip.compress(write(EVENTS[0]).encode())[:40])
    sources = [*find_sources([str(path)]), *large, *find_sources([str(path)])]

    result = run(sources, cores)

    assert result == run(sources, 1)
    assert result[0].events == 5_002
    assert len(result[1][-1]) == 2
    assert count_workers() == 0


def test_large_input_is_mapped_by_workers(large: list[Source]) -> None:
    """As many as there are cores, and they end with the input."""
    running = run_and_count(large, 2)

    assert running[0] == 2
    assert running[-1] == 0


@pytest.mark.parametrize("cores", [1, 2])
def test_small_input_starts_no_worker(tmp_path: Path, cores: int) -> None:
    """It would take longer. One core has no use for a worker, either."""
    sources = save(tmp_path, EVENTS if cores == 1 else EVENTS[:500])

    assert set(run_and_count(sources, cores)) == {0}


@pytest.mark.parametrize(("name", "workers"), [("1", 0), ("1.gz", 2)])
def test_compressed_bytes_have_more_events(
    tmp_path: Path, name: str, workers: int
) -> None:
    """A million bytes of gzip take seconds to map."""
    (tmp_path / name).write_text("{}")

    assert run_and_count([Source(str(tmp_path / name), 1_000_000)], 2)[0] == workers


def test_the_progress_is_that_of_the_bytes(large: list[Source]) -> None:
    """It ends with all of them, also if cores read parts of a file."""
    for cores in (1, 2):
        *reading, last = record_progress(large, cores)
        total = sum(source.size or 0 for source in large)
        assert {each[0] for each in reading} == {"reading the events"}
        assert {each[2] for each in reading} == {total}
        done = [each[1] for each in reading]
        assert done == sorted(done)
        assert total - cores <= done[-1] <= total
        assert last == ("sorting the events", 0, 0)


@pytest.mark.parametrize("is_known", [True, False])
def test_all_cores_are_used_by_default(
    large: list[Source],
    monkeypatch: pytest.MonkeyPatch,
    is_known: bool,  # noqa: FBT001
) -> None:
    """Those that this process may use, or all of the machine where it isn't known."""
    cores = len(os.sched_getaffinity(0)) if is_known else os.cpu_count()
    if not is_known:
        monkeypatch.delattr("os.sched_getaffinity")  # as on macOS

    assert run_and_count(large, 0)[0] == (cores if cores != 1 else 0)


def test_the_hash_names_the_input(tmp_path: Path) -> None:
    """Two inputs with one hash have the same bytes in the same order."""
    first, second = save(tmp_path, EVENTS[:2], EVENTS[2:4])
    hashes = [
        hashlib.sha256(Path(source.name).read_bytes()).hexdigest()
        for source in (first, second)
    ]

    found = [run(list(sources), 1)[0] for sources in ((first, second), (second, first))]

    expected = [
        hashlib.sha256("".join(order).encode()).hexdigest()
        for order in (hashes, hashes[::-1])
    ]
    assert [loaded.sha256 for loaded in found] == expected


@pytest.mark.parametrize("parts", [1, 10])
def test_a_worker_that_is_killed_is_an_error(tmp_path: Path, parts: int) -> None:
    """As the system kills one if there is no memory, in a source or between two.

    A part isn't taken for all.
    """
    sources = save(tmp_path, *(EVENTS[n::parts] for n in range(parts)))

    def kill(*_: Any) -> None:
        for worker in multiprocessing.active_children():
            worker.kill()
            worker.join()

    with Store() as store, pytest.raises(InputError, match="too little memory"):
        load(Job(MAPPINGS, "", sources), store, kill, cores=2)

    assert count_workers() == 0


def test_an_error_of_a_worker_has_its_message(
    large: list[Source], tmp_path: Path
) -> None:
    """As if this process had read the file."""
    path = tmp_path / "missing"
    sources = [*large, Source(str(path), 10)]

    with Store() as store, pytest.raises(InputError) as caught:
        load(Job(MAPPINGS, "", sources), store, print, cores=2)

    assert str(caught.value) == f"'{path}': No such file or directory"
    assert count_workers() == 0


def test_workers_read_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each object once, since S3 bills requests; an error has its message."""
    s3 = FakeS3()
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    bucket = s3.create_bucket()
    for number, events in enumerate((EVENTS[:4_000], EVENTS[4_000:])):
        lines = "".join(write(event) + "\n" for event in events)
        s3.put(bucket, str(number), body=lines.encode())
    sources = find_sources([f"s3://{bucket}"])
    s3.requests.clear()

    result = run(sources, 2)

    assert [request.target[-1] for request in sorted(s3.find("GetObject"))] == [
        "0",
        "1",
    ]
    find_client.cache_clear()
    assert result == run(sources, 1)
    s3.fail("GetObject", *[Fault("403 Forbidden", "AccessDenied")] * 2)
    with pytest.raises(InputError, match="lack the permission s3:GetObject"):
        run(sources, 2)
    find_client.cache_clear()


def test_a_file_that_changes_is_an_error() -> None:
    """Its parts are read at different times; here each process has another file."""
    job = Job(MAPPINGS, "", [Source("/proc/self/status", 10_000_000)])

    with Store() as store, pytest.raises(InputError, match="was changed while it was"):
        load(job, store, lambda *_: None, cores=2)


@pytest.mark.parametrize("more", [0, 3])
def test_a_lack_of_processes_is_an_error(large: list[Source], more: int) -> None:
    """A system limits them, or what they need, such as open files."""
    job = Job(MAPPINGS, "", large)

    with (
        Store() as store,
        limit(resource.RLIMIT_NOFILE, find_unused() + more),
        pytest.raises(InputError, match="no process can be started: Too many open"),
    ):
        load(job, store, lambda *_: None, cores=2)

    assert count_workers() == 0


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_is_left(large: list[Source], tmp_path: Path, kind: int) -> None:
    """If the command is killed, or Ctrl-C ends it, without a word of the workers."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    names = [source.name for source in large]
    with subprocess.Popen(
        (sys.executable, script, ROOT / "function/mapping.toml", *names),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        workers = [int(pid) for pid in process.stdout.readline().split()]

        if kind == signal.SIGINT:
            os.killpg(process.pid, kind)
        else:
            process.kill()

        process.wait(60)
        wait_for_end(workers)
        assert len(workers) == 2
        assert process.stderr.read().count("Traceback") == (kind == signal.SIGINT)


def test_ctrl_c_still_ends_the_command(large: list[Source]) -> None:
    """It is only kept from the workers."""

    def interrupt(*_: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    with Store() as store, pytest.raises(KeyboardInterrupt):
        load(Job(MAPPINGS, "", large), store, interrupt, cores=2)

    assert count_workers() == 0


def receive_all(pipe: Any) -> Iterator[Any]:
    """Yield what a worker sends, until it ends."""
    while True:
        try:
            yield pipe.recv()
        except EOFError:
            return


def test_a_worker_maps_task_after_task(tmp_path: Path) -> None:
    """Until the pipe is closed, or until something fails, which it sends."""
    job = Job(MAPPINGS, "", save(tmp_path, EVENTS[1:3], EVENTS[3:5]))
    ours, theirs = multiprocessing.Pipe()
    for position in (1, 0, 5):
        ours.send(Task(position, Part(0, 1)))

    work(theirs, job)  # the pipe has room for these results
    theirs.close()

    *batches, error = receive_all(ours)
    ids = [[version[0] for version in batch[0]] for batch in batches]
    assert ids == [["m-3", "m-4"], ["m-1", "m-2"]]
    assert isinstance(error, IndexError)


def test_a_worker_ends_if_nobody_receives(tmp_path: Path) -> None:
    """Its parent was killed."""
    (source,) = save(tmp_path, EVENTS[:2])
    ours, theirs = multiprocessing.Pipe()
    ours.send(Task(0, Part(0, 1)))
    ours.close()

    work(theirs, Job(MAPPINGS, "", [source]))

    theirs.close()


def test_a_full_disk_is_an_error() -> None:
    """The message names what to do."""
    row = ("type", "id", "m-1", 0, 0, 0, "customer", bytes(1_000_000))

    with (
        Store() as store,
        limit(resource.RLIMIT_FSIZE, 1_000_000),
        pytest.raises(InputError, match=r"temporary files can't be written \(disk I/O"),
        explain_full_disk(),
    ):
        store.add([], [row] * 100)


def test_other_errors_of_the_database_are_bugs() -> None:
    """They need a traceback."""
    database = sqlite3.connect(":memory:")

    with pytest.raises(sqlite3.OperationalError), explain_full_disk():
        database.execute("SELECT nonsense")

    database.close()


def test_the_samples_have_everything(large: list[Source]) -> None:
    """Versions, outcomes, and times that show which version counts."""
    _, found = run(large, 1)

    assert found[2] == {"billed": 4_410, "quarantined": 90}
    assert len(found[4]) == 500
    assert found[0][0].time == START
    assert json.loads(found[0][0].body)
