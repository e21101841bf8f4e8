"""A company in Paris, its customers, their events of January, and their invoices."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from local_stack.fake_api import KEY
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline, find_customer_id
from local_stack.segment_requests import write
from segment_to_hyperline.archive.sources import Source
from segment_to_hyperline.cli.main import cli
from segment_to_hyperline.closing.close import Request, close_month
from segment_to_hyperline.closing.reading import Zone
from segment_to_hyperline.closing.report import create_report
from segment_to_hyperline.closing.statements import MonthReport
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.file import load_rules
from segment_to_hyperline.reconciliation.expected.mappings import DatedMapping
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.expected.workers import Job, load
from segment_to_hyperline.reconciliation.header import Header
from segment_to_hyperline.reconciliation.progress import ignore_progress
from tests.samples import track
from tests.segment_to_hyperline.reconciliation.helpers import (
    create_client,
    create_events,
)

ROOT = Path(__file__).parents[3]
RULES = load_rules(ROOT / "function/mapping.toml")
SEATS, REPORTS = "Seats Added", "Report Sent"
CUSTOMERS = ("acme", "globex", "initech")
# Midnight of the first of January and of February in Paris.
START, END = "2025-12-31T23:00:00Z", "2026-01-31T23:00:00Z"
READ_AT = "2026-02-04T09:00:00Z"
NO_ZONE = Zone()
ISSUED_AT = "2026-02-03T23:00:00Z"
FIRST = datetime(2026, 1, 1, 12, tzinfo=UTC)


def event(number: int, **changes: Any) -> dict[str, Any]:
    """Return an event: two a day for each customer, of two types."""
    moment = FIRST + timedelta(hours=4 * number)
    time = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    customer = CUSTOMERS[number % 3]
    properties = {"seats": number % 7 + 1, "plan": "pro"}
    fields = {
        "messageId": f"m-{number}",
        "event": (SEATS, REPORTS)[number // 3 % 2],
        "userId": customer,
        "timestamp": time,
        "receivedAt": changes.get("timestamp", time),
        "properties": properties,
    }
    return track(**fields | changes)


EVENTS = [event(number) for number in range(180)]


class World:
    """The events, Hyperline's two APIs, and the command line."""

    def __init__(
        self, folder: Path, hyperline: FakeHyperline, core: FakeCoreApi
    ) -> None:
        self.folder = folder
        self.hyperline = hyperline
        self.core = core
        self.events = [dict(each) for each in EVENTS]
        core.shows_links = True
        core.add_entity("ent_paris", "Europe/Paris", 3, is_default=True)
        core.add_aggregator(
            "agg_seats", SEATS, "sum", property="seats", name="Seats", unit_name="seat"
        )
        core.add_aggregator("agg_reports", REPORTS, "count", name="Reports")
        core.add_product("itm_seats", "Seats", "agg_seats")
        core.add_product("itm_reports", "Reports", "agg_reports")
        for name in CUSTOMERS:
            customer = find_customer_id(name)
            core.add_customer(customer, name)
            core.add_subscription(f"sub_{name}", customer, "itm_seats", "itm_reports")
            core.add_invoice(f"inv_{name}", customer, START, END)
        self.bill(*EVENTS)

    def bill(self, *events: dict[str, Any]) -> None:
        """Store what the mapping makes of *events*."""
        for each in events:
            for billable in apply_rules(RULES, each):
                key = billable.key.event_type, billable.key.record_id
                self.hyperline.store[key] = billable.json
        self.hyperline.rows.forget()

    def delete(self, number: int) -> None:
        """Delete a stored event."""
        del self.hyperline.store[EVENTS[number]["event"], f"m-{number}"]
        self.hyperline.rows.forget()

    def alter(self, number: int, **changes: Any) -> None:
        """Change fields of a stored event."""
        key = EVENTS[number]["event"], f"m-{number}"
        content = json.loads(self.hyperline.store[key])
        self.hyperline.store[key] = json.dumps(content | changes).encode()
        self.hyperline.rows.forget()

    def issue(self) -> None:
        """Issue the invoices of the month."""
        for name in CUSTOMERS:
            self.core.issue(f"inv_{name}", ISSUED_AT)

    def run(self, *arguments: str) -> Result:
        """Run a subcommand."""
        environment = {
            "HYPERLINE_API_KEY": KEY,
            "HYPERLINE_URL": self.hyperline.url,
            "HYPERLINE_CORE_URL": self.core.url,
        }
        done = CliRunner().invoke(cli, arguments, env=environment)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    def close(self, *options: str, month: str = "2026-01") -> Result:
        """Make the report of the month in the folder `report`."""
        path = self.folder / "events.ndjson"
        path.write_text("".join(write(each) + "\n" for each in self.events))
        output = "--output", str(self.report)
        return self.run("close", month, str(path), *output, *options)

    def create_report(
        self, zone: Zone = NO_ZONE, month: str = "2026-01"
    ) -> MonthReport:
        """Return the report of the month."""
        path = self.folder / "events.ndjson"
        path.write_text("".join(write(each) + "\n" for each in self.events))
        mapping = (ROOT / "function/mapping.toml").read_bytes()
        job = Job(
            [DatedMapping(0, mapping, "m")],
            "Webhooks (Actions)",
            [Source(str(path), None)],
        )
        with Store() as store:
            loaded = load(job, store, ignore_progress)
            events = create_events(self.hyperline)
            core = create_client(self.core)
            closed = close_month(store, events, core, Request(month, zone))
            header = Header(
                *("host", "sandbox", READ_AT, closed.found.start, closed.found.end),
                *((), *loaded[:3], closed.found.customers_from),
            )
            return create_report(closed, header)

    @property
    def report(self) -> Path:
        """The folder of the report."""
        return self.folder / "report"
