"""Write the files of a month's report, and make them again from what was recorded."""

import shutil
from pathlib import Path

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.closing.close import close_month
from segment_to_hyperline.closing.folder import (
    EVENTS,
    RESPONSES,
    Manifest,
    read_lines,
    write_manifest,
)
from segment_to_hyperline.closing.page import render_page
from segment_to_hyperline.closing.report import create_report
from segment_to_hyperline.closing.statements import MonthReport
from segment_to_hyperline.closing.tables import list_tables
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.recording import (
    RecordedClient,
    RecordedResponses,
)
from segment_to_hyperline.reconciliation.compare import TooManyDifferences
from segment_to_hyperline.reconciliation.expected.store import Store

# The page for a browser.
REPORT = "report.html"


def write_report(folder: Path, report: MonthReport, customers: Customers) -> None:
    """Write the page, and the tables for spreadsheets."""
    (folder / REPORT).write_text(render_page(report, customers), "utf-8")
    for name, content in list_tables(report, customers).items():
        (folder / name).write_text(content, "utf-8", newline="")


def remake_report(old: Path, new: Path, manifest: Manifest) -> None:
    """Make the report in *old* again, in the folder *new*, without a network.

    Raises `InputError` if what it was made of isn't complete.
    """
    for name in (EVENTS, RESPONSES):
        shutil.copyfile(old / name, new / name)
    with RecordedResponses() as responses, Store() as store:
        responses.load(read_lines(old / RESPONSES))
        client = RecordedClient(responses, manifest.header.host)
        store.restore(read_lines(old / EVENTS))
        try:
            core = client if manifest.core else None
            closed = close_month(store, Events(client), core, manifest.request)
        except TooManyDifferences as error:
            raise InputError(f"'{old}' has more differences than its report") from error
        report = create_report(closed, manifest.header)
        write_report(new, report, closed.found.customers)
    write_manifest(new, manifest)
