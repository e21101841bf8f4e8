"""The version has one source, `__version__`, and is the same wherever it is shown."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

import segment_to_hyperline
from local_stack.aws import ROOT
from local_stack.fake_api import KEY
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.reconciliation.api.client import create_key_session
from segment_to_hyperline.simulation.template import read_template
from tests.conftest import Log, Send
from tests.samples import track

VERSION = segment_to_hyperline.__version__
# Major, minor, patch. https://semver.org
FORM = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
HEADING = re.compile(rf"^## (?P<version>{FORM}) - \d{{4}}-\d\d-\d\d$", re.MULTILINE)


def run(*arguments: str) -> str:
    """Return what a module of Python prints, in one line."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.check_output(command, cwd=ROOT, text=True).strip()


def read_places() -> dict[str, Any]:
    """Return the version by the place in which it is shown, apart from requests."""
    template = read_template()
    changelog = ROOT.joinpath("CHANGELOG.md").read_text("utf-8")
    released = HEADING.search(changelog)
    return {
        "the metadata of the template": template["Metadata"][
            "AWS::ServerlessRepo::Application"
        ]["SemanticVersion"],
        "the output of the template": template["Outputs"]["Version"]["Value"],
        "the newest section of CHANGELOG.md": released and released["version"],
        "the wheel": run("hatchling", "metadata", "version"),
        "--version": run("segment_to_hyperline", "--version").rpartition(" ")[2],
    }


def test_the_version_is_semantic() -> None:
    """Tools compare versions; docs/upgrading.md says what the numbers promise."""
    assert re.fullmatch(FORM, VERSION)


def test_every_place_shows_the_same_version() -> None:
    """CONTRIBUTING.md lists the places that have to be changed for a release."""
    assert {place: v for place, v in read_places().items() if v != VERSION} == {}


def test_a_post_names_the_version(send: Send, hyperline: FakeHyperline) -> None:
    """Hyperline's support can see which version has posted an event."""
    send(track())

    (request,) = hyperline.requests
    assert request.headers["User-Agent"] == f"segment-to-hyperline/{VERSION}"


def test_a_request_of_a_command_names_the_version(hyperline: FakeHyperline) -> None:
    """So do those of `backfill`, `reconcile` and the other commands."""
    with create_key_session(hyperline.url, KEY) as session:
        session.post(f"{hyperline.url}/v1/events", b"{}")

    (request,) = hyperline.requests
    assert request.headers["User-Agent"] == f"segment-to-hyperline/{VERSION}"


@pytest.mark.usefixtures("hyperline")
@pytest.mark.parametrize("event", [track(), track(userId=None)])
def test_a_line_of_the_log_has_the_version(send: Send, log: Log, event: Any) -> None:
    """It shows which version has processed an event, also after an update."""
    send(event)

    (line,) = log()
    assert line["version"] == VERSION
    assert json.dumps(line["_aws"]).count("version") == 0  # no metric or dimension
