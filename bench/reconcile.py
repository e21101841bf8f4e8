"""Find a few differences among a million events, and measure what that takes.

Usage: `python -m bench.reconcile [EVENTS]`, by default 1,000,000. A fake Hyperline
stores the events; three are missing, one is altered, two are unexpected and one came
twice. It prints the requests, the time and the peak memory, bills the missing ones
twice, and kills the command at random moments, to see what is left on the disk.
"""

import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local_stack.aws import ROOT
from local_stack.fake_api import KEY
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.file import load_rules

DAYS = 2
KILLS = 3
FILES = 48
TYPES = ("Seats Added", "Report Exported", "Message Sent", "File Uploaded")
# High, so that the time is that of the command and not of Hyperline's rate limit.
RATE_LIMIT = 1_000_000


def generate_events(number: int) -> Iterator[dict[str, Any]]:
    """Yield *number* track events, spread evenly over the last `DAYS` days."""
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start -= timedelta(days=DAYS - 1)
    for position in range(number):
        moment = start + timedelta(days=DAYS - 1) * (position / number)
        yield {
            "type": "track",
            "event": TYPES[position % len(TYPES)],
            "messageId": f"generated-{position:09}",
            "userId": f"customer-{position % 1_000}",
            "timestamp": moment.isoformat(timespec="milliseconds"),
            "properties": {"seats": position % 7, "plan": "team"},
        }


def prepare(number: int, archive: Path, hyperline: FakeHyperline) -> None:
    """Write the events into *archive*, and what is to be found into *hyperline*."""
    rules = load_rules(ROOT / "function/mapping.toml")
    missing = {number // 10, number // 2, number - 1}
    altered, duplicate = number // 3, number // 7
    with ExitStack() as stack:
        names = [archive / f"{each:02}.gz" for each in range(FILES)]
        files = [
            stack.enter_context(gzip.open(name, "wt", compresslevel=1))
            for name in names
        ]
        for position, event in enumerate(generate_events(number)):
            line = json.dumps(event) + "\n"
            file = files[position * FILES // number]
            file.write(line * (1 + (position == duplicate)))
            (billable,) = apply_rules(rules, event)
            if position in missing:
                continue
            body = billable.json
            if position == altered:
                body = body.replace(b'"plan":"team"', b'"plan":"free"')
            hyperline.store[billable.key.event_type, billable.key.record_id] = body
            if position in {number // 4, number // 5}:
                other = body.replace(b"generated-", b"unexpected-")
                key = billable.key.record_id.replace("generated-", "unexpected-")
                hyperline.store[billable.key.event_type, key] = other
    hyperline.rows.forget()


def command(name: str, archive: Path, *options: str) -> list[str]:
    """Return the command line of a subcommand."""
    return [
        sys.executable,
        "-m",
        "segment_to_hyperline",
        name,
        str(archive),
        *options,
    ]


def run(arguments: list[str], folder: Path, hyperline: FakeHyperline) -> str:
    """Run a command, print what it took, and return its output."""
    hyperline.reads.clear()
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            arguments, cwd=folder, env=environment(hyperline), stdout=output
        )
        peak = find_peak(process)
        output.seek(0)
        text = output.read()
    seconds = time.monotonic() - began
    name = " ".join([arguments[3], *arguments[5:]])
    print(f"{name}: {len(hyperline.reads):,} requests, {seconds:.0f} s, {peak} MB")
    return text


def find_peak(process: subprocess.Popen[bytes]) -> int:
    """Wait until a process ends, and return the most memory that it used, in MB."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(read_peak, list_processes(process.pid))))
        time.sleep(0.1)
    return peak


def list_processes(pid: int) -> list[int]:
    """Return the process and its children."""
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
        return [pid, *map(int, children.split())]
    return [pid]


def read_peak(pid: int) -> int:
    """Return the most memory that a process has used so far, in MB."""
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text("ascii")
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):
            return int(found[1]) // 1_024
    return 0


def environment(hyperline: FakeHyperline) -> dict[str, str]:
    """Return the environment of a command that reads the fake Hyperline."""
    return os.environ | {"HYPERLINE_API_KEY": KEY, "HYPERLINE_URL": hyperline.url}


def kill(
    arguments: list[str], folder: Path, hyperline: FakeHyperline, seconds: float
) -> list[str]:
    """Kill the command at random moments within *seconds*; return what it leaves."""
    generator = random.Random(1)
    before = set(folder.rglob("*"))
    for _ in range(KILLS):
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            env=environment(hyperline) | {"TMPDIR": str(folder)},
            stdout=subprocess.DEVNULL,
        )
        time.sleep(generator.uniform(0, seconds))
        process.send_signal(signal.SIGKILL)
        process.wait()
    return [str(path) for path in set(folder.rglob("*")) - before]


def main(number: int) -> None:
    """Run everything with this *number* of events."""
    with (
        tempfile.TemporaryDirectory() as name,
        FakeHyperline(rate_limit=RATE_LIMIT) as fake,
    ):
        folder = Path(name)
        archive = folder / "archive"
        archive.mkdir()
        prepare(number, archive, fake)
        form = "--format", "json"
        run(command("reconcile", archive, *form), folder, fake)
        deep = command("reconcile", archive, "--deep", "--rate", "100", *form)
        began = time.monotonic()
        found = json.loads(run(deep, folder, fake))
        seconds = time.monotonic() - began
        counts = {k: v for k, v in found.items() if isinstance(v, int)}
        print(counts, len(found["duplicates"]), "duplicate")
        print("left after kills:", kill(deep, folder, fake, seconds))
        before = set(fake.store)
        options = "--direct", "--yes", "--old", "--rate", "100"
        backfill = command("backfill", archive, *options)
        for _ in range(2):
            print(run(backfill, folder, fake).splitlines()[-1])
        print("billed:", sorted(record_id for _, record_id in set(fake.store) - before))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
