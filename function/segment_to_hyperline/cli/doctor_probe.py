"""The option `--probe` of the command `doctor`."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TextIO

import click

from segment_to_hyperline import __version__
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.doctor.probe.run import Finding, run
from segment_to_hyperline.doctor.probe.sandbox import Sandbox
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.reconciliation.api.failures import AccessError
from segment_to_hyperline.text import LINE_LENGTH, align

OUTPUT = Path("doctor-probe.json")
_HEADER = ("question", "assumed", "found", "relied on")


def probe(
    endpoint: Endpoint,
    core_url: str | None,
    *,
    customer: str | None,
    limited_key: str | None,
) -> bool:
    """Try in a sandbox what Hyperline doesn't document, and print what was found.

    Each experiment asks first. The findings are written to a new file as JSON. Returns
    whether this version works as it is, as far as it was tried. Raises `UsageError` if
    the host or a key can't be used; a key of production isn't used at all.
    """
    try:
        findings = run_all(Sandbox(endpoint, core_url, customer, limited_key))
    except (InputError, AccessError) as error:
        raise click.UsageError(str(error)) from error
    show_findings(findings)
    save(json.dumps(describe(findings), indent=2))
    return all(finding.works for finding in findings)


def run_all(sandbox: Sandbox) -> list[Finding]:
    """Run the experiments, and print what could not be deleted, also if one fails."""
    try:
        return run(sandbox, partial(click.confirm, err=True))
    finally:
        for what in sandbox.stays:
            click.echo(f"This stays in the sandbox: {what}.", err=True)


def save(text: str) -> None:
    """Write *text* to a new file, or print it if that is impossible."""
    try:
        with open_new() as file:
            file.write(f"{text}\n")
    except OSError as error:
        click.echo(f"\n{text}")
        reason = f"{OUTPUT} can't be written ({error.strerror})"
        click.echo(f"{reason}, so the findings are printed as JSON.", err=True)
    else:
        click.echo(f"\nWritten to {file.name}, which you can attach to an issue.")


def open_new() -> TextIO:
    """Return the file `OUTPUT`, or one with a number if others exist."""
    path, numbers = OUTPUT, count(2)
    while True:
        try:
            return path.open("x", encoding="utf-8")
        except FileExistsError:
            path = OUTPUT.with_stem(f"{OUTPUT.stem}-{next(numbers)}")


def show_findings(findings: Sequence[Finding]) -> None:
    """Print the table, and below it what differs in consequence."""
    rows = [
        (
            finding.assumption.name,
            finding.assumption.answer,
            finding.found,
            "yes" if finding.assumption.is_relied_on else "no",
        )
        for finding in findings
    ]
    click.echo("\n" + "\n".join(align([_HEADER, *rows], LINE_LENGTH)))
    for finding in findings:
        if text := finding.meaning or finding.reason:
            click.echo(f"\n{finding.assumption.name}: {finding.found}\n  {text}")


def describe(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings for a JSON file, without keys and customers."""
    return {
        "version": __version__,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "findings": [
            {
                "name": finding.assumption.name,
                "question": finding.assumption.question,
                "assumed": finding.assumption.answer,
                "found": finding.found,
                "relied_on": finding.assumption.is_relied_on,
                "meaning": finding.meaning,
                "reason": finding.reason,
                "source": finding.assumption.source,
            }
            for finding in findings
        ],
    }
