"""What `doctor --probe` prints and writes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from local_stack.fake_api import KEY, FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.cli.doctor_probe import probe
from segment_to_hyperline.hyperline.assumptions import ASSUMPTIONS
from segment_to_hyperline.hyperline.url import Endpoint
from tests.segment_to_hyperline.doctor.probe.conftest import (
    CUSTOMER,
    LIMITED_KEY,
    FakeSandbox,
)
from tests.segment_to_hyperline.reconciliation.helpers import Clock

WORKS, DIFFERS = 0, 1


@pytest.fixture
def sandbox(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[FakeSandbox]:
    """A sandbox; the working folder is a new one."""
    assert clock
    monkeypatch.chdir(tmp_path)
    with FakeSandbox() as sandbox:
        yield sandbox


def run(hyperline: FakeHyperline, answers: str = "y\n" * 30, **options: Any) -> Result:
    """Run the probe with these *answers*; the status shows what it returns."""

    @click.command
    @click.pass_context
    def command(context: click.Context) -> None:
        chosen = {"customer": CUSTOMER, "limited_key": LIMITED_KEY}
        key = options.pop("key", KEY)
        endpoint = Endpoint(hyperline.url, key)
        context.exit(DIFFERS - probe(endpoint, None, **(chosen | options)))

    return CliRunner().invoke(command, input=answers)


def test_the_table_shows_what_was_assumed_and_found(sandbox: FakeSandbox) -> None:
    """Each line says whether this version relies on it."""
    result = run(sandbox)

    assert result.exit_code == WORKS
    lines = result.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines if line.startswith("null  "))
    table = {line[:20].strip(): line.split()[-1] for line in lines if line}
    assert table["unknown customer"] == "yes"
    assert table["null"] == "no"
    assert (
        lines[-1] == "Written to doctor-probe.json, which you can attach to an issue."
    )


def test_what_differs_is_explained(sandbox: FakeSandbox) -> None:
    """With what to do about it; a customer that stays is named."""
    sandbox.behaviour |= {"paths": "v2", "unknown customer": "a customer is created"}

    result = run(sandbox)

    assert result.exit_code == DIFFERS
    assert "paths: v2\n  set the parameter IngestionVersion to v2\n" in result.stdout
    assert "This stays in the sandbox: the customer doctor-probe-" in result.stderr


def test_the_file_can_be_attached_to_an_issue(
    sandbox: FakeSandbox, tmp_path: Path
) -> None:
    """It has neither keys nor customers."""
    result = run(sandbox)

    text = (tmp_path / "doctor-probe.json").read_text()
    content = json.loads(text)
    assert set(content) == {"version", "time", "findings"}
    found = {each["name"]: each["found"] for each in content["findings"]}
    assert found == {each.name: each.answer for each in ASSUMPTIONS}
    for secret in (KEY, LIMITED_KEY, CUSTOMER):
        assert secret not in text + result.output


def test_what_is_declined_is_no_failure(sandbox: FakeSandbox) -> None:
    """It is in the table."""
    result = run(sandbox, answers="n\n" * 30)

    assert result.exit_code == WORKS
    assert result.stdout.count("not tried") == 2 * len(ASSUMPTIONS)
    assert sandbox.requests == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"key": "prod_1"},
            "the probe writes events, so it needs a key of the sandbox",
        ),
        ({"key": "test_ 1"}, "the API key can't be one: copy it again, without spaces"),
        ({"key": "test_1"}, "Hyperline rejected the API key (401)"),
        ({"limited_key": "prod_1"}, "--limited-key must be a key of the sandbox, too"),
    ],
)
def test_a_wrong_key_is_one_line(
    sandbox: FakeSandbox, options: dict[str, str], problem: str
) -> None:
    """Nothing is written, and the key isn't shown."""
    result = run(sandbox, **options)

    assert result.exit_code == 2
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("Error"))
    assert problem in line
    assert not sandbox.writes
    assert not set(options.values()) & set(result.output.split())


def test_a_machine_without_a_network_is_one_line(sandbox: FakeSandbox) -> None:
    """It says what to check."""
    sandbox.close()

    result = run(sandbox)

    assert result.exit_code == 2
    assert "the connection is refused: check the host" in result.stderr


def test_a_page_of_a_proxy_is_one_line(sandbox: FakeSandbox) -> None:
    """Its content isn't printed."""
    sandbox.outage = FakeResponse(
        200, b"<html>internal", headers={"Content-Type": "text/html"}
    )

    result = run(sandbox)

    assert result.exit_code == 2
    assert "the response is a web page (200)" in result.stderr
    assert "internal" not in result.output


def test_a_file_that_exists_is_not_replaced(
    sandbox: FakeSandbox, tmp_path: Path
) -> None:
    """Another name is used, which the last line shows."""
    assert sandbox
    (tmp_path / "doctor-probe.json").write_text("of an earlier run")
    (tmp_path / "doctor-probe-2.json").mkdir()

    result = run(sandbox, answers="n\n" * 30)

    assert result.exit_code == WORKS
    assert (tmp_path / "doctor-probe.json").read_text() == "of an earlier run"
    assert json.loads((tmp_path / "doctor-probe-3.json").read_text())["findings"]
    assert result.stdout.splitlines()[-1].startswith("Written to doctor-probe-3.json,")


def test_findings_that_can_not_be_written_are_printed(
    sandbox: FakeSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A folder can be read-only, or was deleted."""
    folder = tmp_path / "deleted"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()

    result = run(sandbox, answers="n\n" * 30)

    assert result.exit_code == WORKS
    assert "can't be written (No such file or directory)" in result.stderr
    _, start, rest = result.stdout.rpartition("\n{\n")
    assert len(json.loads(start + rest)["findings"]) == len(ASSUMPTIONS)
    assert "Written to" not in result.stdout
