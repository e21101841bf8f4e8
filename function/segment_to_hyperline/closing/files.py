"""Write the files of a month's report, and make them again from what was recorded."""

import shutil
import sqlite3
from math import inf
from pathlib import Path

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.closing.close import close_month
from segment_to_hyperline.closing.folder import (
    EVENTS,
    RESPONSES,
    Manifest,
    hash_origin,
    read_lines,
    write_manifest,
)
from segment_to_hyperline.closing.page import render_page
from segment_to_hyperline.closing.report import create_report
from segment_to_hyperline.closing.statements import MonthReport
from segment_to_hyperline.closing.tables import list_tables
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.failures import (
    AccessError,
    HyperlineUnavailable,
)
from segment_to_hyperline.reconciliation.api.recording import (
    RecordedClient,
    RecordedResponses,
)
from segment_to_hyperline.reconciliation.api.rows import read_milliseconds
from segment_to_hyperline.reconciliation.compare import TooManyDifferences
from segment_to_hyperline.reconciliation.expected.store import Store

# The page for a browser.
REPORT = "report.html"
# What is raised for contents that `close` never writes.
_DAMAGES = (
    *(LookupError, TypeError, ValueError, AttributeError, ArithmeticError),
    *(RecursionError, OSError, sqlite3.Error, HyperlineUnavailable, AccessError),
)


def write_report(
    folder: Path, report: MonthReport, customers: Customers, manifest: Manifest
) -> None:
    """Write the page, the tables for spreadsheets, and the manifest."""
    page = render_page(report, customers, hash_origin(folder, manifest))
    (folder / REPORT).write_text(page, "utf-8")
    for name, content in list_tables(report, customers).items():
        (folder / name).write_text(content, "utf-8", newline="")
    write_manifest(folder, manifest)


def remake_report(old: Path, new: Path, manifest: Manifest) -> None:
    """Make the report in *old* again, in the folder *new*, without a network.

    Raises `InputError` if what it was made of isn't complete, or was changed.
    """
    try:
        _remake_report(old, new, manifest)
    except _DAMAGES as error:
        problem = f"'{old}' isn't as it was made ({type(error).__name__})"
        raise InputError(f"{problem}: the report can't be made again") from error


def _remake_report(old: Path, new: Path, manifest: Manifest) -> None:
    for name in (EVENTS, RESPONSES):
        shutil.copyfile(old / name, new / name)
    with RecordedResponses() as responses, Store() as store:
        responses.load(read_lines(old / RESPONSES))
        client = RecordedClient(responses, manifest.header.host)
        store.restore(read_lines(old / EVENTS))
        events = Events(client)
        events.check()
        now = read_milliseconds(manifest.header.read_at)
        request = manifest.request._replace(now=inf if now is None else now)
        try:
            core = client if manifest.core else None
            closed = close_month(store, events, core, request)
        except TooManyDifferences as error:
            raise InputError(f"'{old}' has more differences than its report") from error
        report = create_report(closed, manifest.header)
        write_report(new, report, closed.found.customers, manifest)
        if responses.count_unused():
            raise InputError(f"'{old / RESPONSES}' has responses that nothing asks for")
