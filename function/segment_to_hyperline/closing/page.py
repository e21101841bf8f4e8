"""The page of a month's report, for a browser and for paper.

Everything is in one file: it needs no network, and has no script.
"""

from importlib.resources import files

from segment_to_hyperline.closing.charts import draw_charts
from segment_to_hyperline.closing.markup import Html, join, table, tag
from segment_to_hyperline.closing.statement_page import list_customers, write_statement
from segment_to_hyperline.closing.statements import MonthReport, Step
from segment_to_hyperline.hyperline.facts import SANDBOX
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.rows import format_milliseconds
from segment_to_hyperline.reconciliation.findings import Finding
from segment_to_hyperline.text import format_count

MAX_STATEMENTS = MAX_DIFFERENCES = 1_000
# Nothing is requested, whatever the texts of others contain.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"
_STEPS = (
    ("Stored", "What Segment sent is compared with the events that Hyperline has."),
    ("Counted", "What the events add up to is compared with Hyperline's usage."),
    ("Invoiced", "The events that Hyperline has are looked for on the invoices."),
)


def render_page(report: MonthReport, customers: Customers, origin: str = "") -> str:
    """Return the page as HTML; *origin* is the hash of what the report was made of."""
    title = f"Usage of {report.month}: sent, billed and invoiced"
    style = files(__package__).joinpath("page.css").read_text("utf-8")
    head = tag(
        "head",
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        tag("title", title),
        tag("style", Html(style)),
    )
    body = tag(
        "body",
        tag("main", tag("h1", title), *_list_sections(report, customers, origin)),
    )
    return f'<!doctype html>\n<html lang="en">{head}{body}</html>\n'


def _list_sections(
    report: MonthReport, customers: Customers, origin: str
) -> list[Html]:
    return [
        _describe_result(report),
        tag("h2", "Events by day"),
        tag(
            "p",
            "Filled: billed, which means that Hyperline has the event. Outline: sent."
            " A mark above a day shows that the two numbers differ.",
            class_="note",
        ),
        draw_charts(report.days),
        tag("h2", "Customers"),
        list_customers(report.statements[:MAX_STATEMENTS]),
        _describe_rest(len(report.statements), MAX_STATEMENTS, "customer"),
        _list_differences(report, customers),
        table(
            "Events that are not billable",
            ("outcome", "reason", "events"),
            report.not_billable,
        ),
        _describe_origin(report, origin),
        join(map(write_statement, report.statements[:MAX_STATEMENTS])),
    ]


def _describe_result(report: MonthReport) -> Html:
    parts = []
    if report.header.environment == SANDBOX:
        text = "This is Hyperline's sandbox: nobody has to pay these invoices."
        parts.append(tag("p", text, class_="sandbox"))
    parts += [
        tag("p", report.summary, class_="summary"),
        tag("p", report.closing),
    ]
    results = (report.stored, report.counted, report.invoiced)
    steps = zip(_STEPS, results, strict=True)
    items = (_describe_step(*texts, step) for texts, step in steps)
    parts.append(tag("ul", join(items), class_="steps"))
    for event_type in report.uninvoiced_types:
        text = f"No event of the type {event_type} is on an invoice."
        parts.append(tag("p", text, class_="warning"))
    return join(parts)


def _describe_step(name: str, explanation: str, step: Step) -> Html:
    result = "everything matches"
    if step.differences:
        result = format_count(step.differences, "difference")
    elif step.not_checked:
        result = "no differences in what was checked"
    kinds = {bool(step.differences): "differs", bool(step.not_checked): "unchecked"}
    unchecked = join(tag("p", f"Not checked: {text}") for text in step.not_checked)
    return tag(
        "li",
        tag("strong", f"{name}: {result}"),
        tag("p", explanation, class_="note"),
        unchecked,
        class_="differs" if step.differences else kinds.get(True, "right"),
    )


def _list_differences(report: MonthReport, customers: Customers) -> Html:
    rows = [_list_cells(finding, customers) for finding in report.findings]
    return join(
        (
            table(
                "Differences between what was sent and what Hyperline has",
                ("difference", "time (UTC)", "event type", "id", "customer", "fields"),
                rows[:MAX_DIFFERENCES],
            ),
            _describe_rest(len(rows), MAX_DIFFERENCES, "difference"),
        )
    )


def _format_time(moment: int) -> str:
    """Return a time in milliseconds since 1970 to the second, in UTC."""
    return format_milliseconds(moment)[: len("2026-01-31T12:00:00")].replace("T", " ")


def _list_cells(finding: Finding, customers: Customers) -> tuple[str, ...]:
    names = (name for name in finding.details if name not in {"others", "copies"})
    return (
        finding.kind,
        _format_time(finding.time) if finding.time else "",
        finding.event_type,
        finding.record_id,
        customers.find_name(finding.customer),
        finding.origin or ", ".join(sorted(names)),
    )


def _describe_rest(number: int, most: int, noun: str) -> Html:
    if number <= most:
        return Html()
    every = format_count(number, noun)
    text = f"Of {every}, {most:,} are shown; the CSV files have all."
    return tag("p", text, class_="note")


def _describe_origin(report: MonthReport, origin: str) -> Html:
    texts = [*report.header.rows(), ("made of", f"sha256 {origin}")]
    rows = (join((tag("dt", name), tag("dd", text))) for name, text in texts)
    return join((tag("h2", "Where this is from"), tag("dl", join(rows))))
