"""The README is followed word for word, to a billed event and the report of a month.

Only what can't exist here is replaced: the repository at its public address, AWS,
Hyperline, and Segment, whose part is played with the settings that are printed for it.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from local_stack.aws import ROOT, Progress, client, local_environment, start_aws
from local_stack.fake_api import KEY
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline, find_customer_id
from local_stack.stack import STACK_NAME, create_route, find_resources
from segment_to_hyperline.sending.webhook import Signer, write
from tests.aws_proxy import AwsProxy
from tests.followed import Followed, Person, publish
from tests.runbooks import read_blocks
from tests.samples import track

README = (ROOT / "README.md").read_text("utf-8")
CUSTOMER = "customer-42"
# A part of each block in which a command asks, and what is typed.
TYPED = {
    "init --email": f"{KEY}\n",
    "doctor --send": "y\ny\n",
    "send event.json": "y\n",
}
# CI runs it on its own, because it deploys another stack.
DEMO = "make demo\n"
DEPLOY = "sam build && sam deploy"
SETTINGS = "doctor --show-segment-settings"
# It fails, because the month is not over.
CLOSE = "segment-to-hyperline close"
(REGION,) = re.findall(r"AWS_DEFAULT_REGION=(\S+)", README)
ACCOUNT, LOCAL_ACCOUNT = "111122223333", "000000000000"
INCOMPLETE = 3


class World:
    """What the person's commands reach instead of GitHub, AWS and Hyperline."""

    def __init__(self, folder: Path, aws: AwsProxy) -> None:
        self.folder = folder
        self.aws = aws
        self.hyperline = FakeHyperline(rate_limit=1_000_000)
        self.core = FakeCoreApi(rate_limit=1_000_000, hyperline=self.hyperline)
        self.results: dict[str, Followed] = {}

    def prepare_hyperline(self) -> None:
        """Create what the README says must exist first."""
        core, customer = self.core, find_customer_id(CUSTOMER)
        core.shows_links = True
        core.add_entity("ent_1", is_default=True)
        core.add_aggregator("agg_1", "Seats Added", "sum", property="seats")
        core.add_product("prd_1", "Seats", "agg_1")
        core.add_customer(customer, CUSTOMER)
        core.add_subscription("sub_1", customer, "prd_1")
        start, end = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2100))
        core.add_invoice("inv_1", customer, start, end)

    def create_person(self) -> Person:
        """Return a person who can clone the repository."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        template = (ROOT / "template.yaml").read_text("utf-8")
        parameter = "HyperlineUrl:\n    Type: String\n    Default: "
        assert template.count(f'{parameter}""') == 1
        # The deployed functions post to the fake.
        changed = template.replace(f'{parameter}""', parameter + self.hyperline.url)
        url = project["project"]["urls"]["Repository"]
        settings = publish(self.folder, url, {"template.yaml": changed})
        local = local_environment(
            self.aws.url,
            HYPERLINE_URL=self.hyperline.url,
            HYPERLINE_CORE_URL=self.core.url,
            SAM_CLI_TELEMETRY="0",
            SAM_CLI_POLL_DELAY="0.2",
        )
        named = ("AWS_", "HYPERLINE_", "SAM_")
        environment = {k: v for k, v in local.items() if k.startswith(named)}
        del environment["AWS_DEFAULT_REGION"]  # which the person exports
        person = Person(self.folder, environment)
        (person.home / ".gitconfig").write_text(settings)
        return person

    def connect(self, endpoint: str) -> None:
        """Make the deployed URL one that the local AWS listens on.

        The Receiver is started, which can take longer here than Segment waits.
        """
        resources = find_resources(endpoint, region=REGION)
        create_route(endpoint, resources, REGION)
        cloudformation = client("cloudformation", endpoint, REGION)
        (found,) = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
        outputs = found["Outputs"]
        (url,) = [o["OutputValue"] for o in outputs if o["OutputKey"] == "WebhookUrl"]
        api = resources["WebhookApi"]
        local = f"{endpoint}/_aws/execute-api/{api}/$default/segment"
        self.aws.replaced[url] = local
        assert requests.post(local, timeout=60).status_code == 401


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """What there is after each block of the README was run."""
    folder = tmp_path_factory.mktemp("readme")
    with (
        start_aws("127.0.0.1", Progress(quiet=True)) as aws,
        AwsProxy(aws.endpoint) as proxy,
    ):
        world = World(folder, proxy)
        with world.hyperline, world.core, world.create_person() as person:
            world.prepare_hyperline()
            follow(world, person, aws.endpoint)
            yield world


def follow(world: World, person: Person, endpoint: str) -> None:
    """Run the blocks of the README in order, up to one with a command that fails."""
    for block in read_blocks("README.md"):
        command = block.replace(DEMO, "").replace(ACCOUNT, LOCAL_ACCOUNT)
        typed = next((typed for part, typed in TYPED.items() if part in block), "")
        done = world.results[block] = person.run(command, typed)
        if not (done.has_succeeded or CLOSE in block):
            return
        if DEPLOY in block:
            world.connect(endpoint)


def find(world: World, part: str) -> Followed:
    """Return what came of the block with *part* of a command."""
    (done,) = [done for block, done in world.results.items() if part in block]
    return done


def test_every_command_of_the_readme_succeeds(world: World) -> None:
    """In the order of the README; each block was run."""
    failed = {
        block: (done.status, done.failed, done.printed)
        for block, done in world.results.items()
        if not (done.has_succeeded or CLOSE in block)
    }

    assert failed == {}
    assert list(world.results) == read_blocks("README.md")


def test_the_repository_is_cloned_from_its_address() -> None:
    """It is one constant of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (address,) = re.findall(r"git clone (\S+)", README)

    assert address == project["urls"]["Repository"]


def test_ci_runs_the_demo() -> None:
    """Here it isn't run."""
    assert f"\n{DEMO}" in read_blocks("README.md")[0]
    assert f"\n{DEMO}" in (ROOT / ".ci/run").read_text("utf-8")


def test_doctor_finds_nothing_wrong(world: World) -> None:
    """Only what needs a post isn't known."""
    printed = find(world, "doctor event.json").printed

    assert re.findall(r"^  (\w+) +([a-zA-Z ]+?)  ", printed, re.MULTILINE) != []
    assert re.findall(r"^  (?!ok)(\w+) +([a-zA-Z ]+?)  ", printed, re.MULTILINE) == [
        ("unknown", "ingestion API")
    ]


def test_init_prints_how_to_deploy(world: World) -> None:
    """The README has the same command, with another account."""
    (deploy,) = [block for block in read_blocks("README.md") if DEPLOY in block]

    printed = find(world, "init --email").printed

    assert deploy.strip().replace(ACCOUNT, LOCAL_ACCOUNT) in printed.splitlines()[-2]
    assert KEY not in printed


def test_segment_can_send_with_the_printed_settings(world: World) -> None:
    """The URL, the header and the shared secret are all that it needs."""
    printed = find(world, SETTINGS).printed
    settings = dict(re.findall(r"^([A-Za-z ]+): +(.+)$", printed, re.MULTILINE))
    name, _, value = settings["Header"].partition(": ")
    signer = Signer(settings["Shared secret"], value.removeprefix("Bearer "))
    webhook = signer.single(write(track(messageId="by-segment")))

    response = requests.post(
        settings["URL"], webhook.body, headers=webhook.headers, timeout=30
    )

    assert (response.status_code, response.json()["delivered"]) == (200, 1)
    assert name in webhook.headers
    assert settings["Method"] == "POST"


def test_the_event_of_doctor_is_followed_and_deleted(world: World) -> None:
    """All of its steps are ok."""
    printed = find(world, "doctor --send").printed

    steps = re.findall(r"(ok|wrong|unknown) +([a-z ]+): ", printed)
    names = ("response", "log", "read back", "delete")
    assert steps == [("ok", name) for name in names]
    assert not [key for key in world.hyperline.store if "doctor" in key[1]]


def test_the_first_event_is_billed(world: World) -> None:
    """Once, for the customer, with its seats."""
    key = "Seats Added", "first-1"

    billed = json.loads(world.hyperline.store[key])

    assert billed["customer_id"] == CUSTOMER
    assert billed["record"] == {"seats": 3, "id": "first-1"}
    assert len(world.hyperline.writes[key]) == 1


def test_the_report_of_the_month_is_made(world: World) -> None:
    """It has the event, and says what can't be checked yet."""
    done = find(world, CLOSE)
    (report,) = world.folder.glob("home/*/report/report.html")

    assert done.status == INCOMPLETE
    assert "1 event sent" in done.printed
    assert CUSTOMER in report.read_text("utf-8")


def test_the_commands_can_be_pasted_into_zsh() -> None:
    """There, `#` begins no comment unless an option is set."""
    assert [
        block for block in read_blocks("README.md") if re.search("(^| )#", block)
    ] == []


def test_the_readme_is_short() -> None:
    """A stranger reads it in a few minutes."""
    assert len(README.splitlines()) <= 150
