"""The policies in docs/policies permit what `sam` and the commands of finance send.

The local AWS checks no permissions, so the requests are recorded and compared. Other
tests of `doctor` and `quarantine` do the same for whoever is on call.
"""

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.aws import ROOT, Progress, client, local_environment, start_aws
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import write
from local_stack.stack import run_deploy
from tests.aws_proxy import AwsProxy
from tests.aws_requests import AwsRequest
from tests.policies import SAM, read_policy
from tests.segment_to_hyperline.closing.world import EVENTS, World
from tests.upgrade import delete_stack

TEMPLATES = ("template.yaml", "monitoring.yaml", "daily_check.yaml")


@pytest.fixture(scope="module")
def proxy() -> Iterator[AwsProxy]:
    """An empty local AWS, whose requests are recorded."""
    with (
        start_aws("127.0.0.1", Progress(quiet=True)) as aws,
        AwsProxy(aws.endpoint) as proxy,
    ):
        yield proxy


def test_who_deploys_can_do_what_sam_does(proxy: AwsProxy, tmp_path: Path) -> None:
    """A deployment, which creates SAM's bucket too, another one, and the deletion."""
    for name in (*TEMPLATES, "LICENSE", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    code = tmp_path / "function"
    code.mkdir()
    (code / "receiver.py").write_text("def lambda_handler(event, context): pass\n")
    environment = local_environment(proxy.url)
    for hours in ("0", "1"):
        run_deploy({"SilenceHours": hours}, tmp_path, environment)
    delete_stack(proxy.url)

    assert list_denied(proxy, "deploy") == []
    assert {each.permission for each in proxy.arrived} == SAM


def test_finance_needs_only_the_archive(
    proxy: AwsProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an API key in the environment; neither the stack nor its secret is read."""
    s3 = client("s3", proxy.url)
    s3.create_bucket(Bucket="archive")
    lines = "".join(f"{write(event)}\n" for event in EVENTS)
    s3.put_object(
        Bucket="archive",
        Key="segment-logs/source/1767225600000/events.gz",
        Body=gzip.compress(lines.encode()),
    )
    proxy.arrived.clear()
    for name, value in local_environment(proxy.url).items():
        monkeypatch.setenv(name, value)

    with FakeHyperline(rate_limit=1_000_000) as hyperline:
        core_api = FakeCoreApi(rate_limit=1_000_000, hyperline=hyperline)
        with core_api as core:
            world = World(tmp_path, hyperline, core)
            world.issue()
            output = ("--output", str(world.report))
            compared = world.run("reconcile", "s3://archive")
            closed = world.run("close", "2026-01", "s3://archive", *output)

    assert "Everything matches: 180 events" in compared.stdout
    assert "180 events sent, all stored" in closed.stdout
    assert list_denied(proxy, "finance") == []
    assert {each.permission for each in proxy.arrived} == read_policy("finance").actions


def list_denied(proxy: AwsProxy, name: str) -> list[AwsRequest]:
    """Return the requests that a policy doesn't permit."""
    policy = read_policy(name)
    return sorted(each for each in proxy.arrived if not policy.permits(each))
