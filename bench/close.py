"""Close a month with a million events, and measure what that takes.

Usage: `python -m bench.close [EVENTS]`, by default 1,000,000. The fake Hyperline of
`bench.reconcile` stores the events of 1,000 customers, and bills them by a fake core
API, which has an invoice for each. It prints the requests, the time, the peak memory
and the size of the folder, and verifies the report.
"""

import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.reconcile import RATE_LIMIT, TYPES, environment, find_peak, prepare
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline, find_customer_id

CUSTOMERS = 1_000


def add_invoices(core: FakeCoreApi, month: datetime) -> None:
    """Add what counts and invoices the events of the *month*."""
    start = month.isoformat()
    end = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
    core.shows_links = True
    core.add_entity("ent_1", "UTC")
    for number, name in enumerate(TYPES):
        core.add_aggregator(f"agg_{number}", name, "sum", property="seats", name=name)
        core.add_product(f"itm_{number}", name, f"agg_{number}")
    products = [product["id"] for product in core.products]
    for number in range(CUSTOMERS):
        name = f"customer-{number}"
        customer = find_customer_id(name)
        core.add_customer(customer, name)
        core.add_subscription(f"sub_{number}", customer, *products)
        core.add_invoice(f"inv_{number}", customer, start, end.isoformat())


def main(number: int) -> None:
    """Close the month of this *number* of events."""
    with (
        tempfile.TemporaryDirectory() as name,
        FakeHyperline(rate_limit=RATE_LIMIT) as fake,
        FakeCoreApi(rate_limit=RATE_LIMIT, hyperline=fake) as core,
    ):
        folder = Path(name)
        archive, report = folder / "archive", folder / "report"
        archive.mkdir()
        prepare(number, archive, fake)
        month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0)
        month = month.replace(microsecond=0)
        add_invoices(core, month)
        variables = environment(fake) | {"HYPERLINE_CORE_URL": core.url}
        close = ("close", f"{month:%Y-%m}", archive, "--output", report, "--rate", 100)
        for arguments in (close, ("verify", report)):
            command = [
                sys.executable,
                "-m",
                "segment_to_hyperline",
                *map(str, arguments),
            ]
            fake.reads.clear()
            core.reads.clear()
            began = time.monotonic()
            peak = find_peak(subprocess.Popen(command, env=variables))
            seconds = time.monotonic() - began
            print(
                f"{arguments[0]}: {len(fake.reads):,} + {len(core.reads):,} requests,"
            )
            print(f"  {seconds:.0f} s, {peak} MB")
        files = [path.stat().st_size for path in report.rglob("*") if path.is_file()]
        print(f"{sum(files) / 1e6:.0f} MB in {len(files)} files")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
