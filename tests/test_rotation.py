"""Changes of the secret: which requests of Segment are lost by them.

Only a 401 loses an event: Segment doesn't retry then. After a 503 it does, for 4 hours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

import pytest

from local_stack.segment_requests import Webhook, sign, write
from tests.clock import Clock
from tests.conftest import Secret, Send
from tests.fake_aws import FakeAws, Fault
from tests.samples import track

HOUR = 3600
MINUTE = 60
OLD, NEW, NEWER = "the-old-random-value", "the-new-random-value", "a-newer-random-value"
# How many requests Segment sends between two steps, and how far apart.
REQUESTS = 4
INTERVAL = 3 * MINUTE


@dataclass
class Segment:
    """Segment: what it signs with, what it retries, and how many requests it lost.

    It signs a retry as it signs new requests, or *keeps_signatures*; neither is
    documented.
    """

    send: Send
    secret: str = OLD
    token: str = OLD
    keeps_signatures: bool = False
    sent: int = 0
    lost: int = 0
    waiting: list[tuple[str, Webhook]] = field(default_factory=list)

    def sign(self, message_id: str) -> Webhook:
        """Return the request for an event that no rule matches."""
        event = write(track(type="identify", messageId=message_id))
        headers = {
            "X-Signature": sign(event, self.secret),
            "Authorization": f"Bearer {self.token}",
        }
        return Webhook(f"[{event},{event}]", headers)

    def send_next(self) -> None:
        """Send a new request, and retry those that got 503."""
        message_id = f"m-{self.sent}"
        self.sent += 1
        requests = [*self.waiting, (message_id, self.sign(message_id))]
        self.waiting = []
        for message_id, first in requests:
            request = first if self.keeps_signatures else self.sign(message_id)
            status = self.send(request).status
            if status == 503:
                self.waiting.append((message_id, first))
            else:
                assert status in {200, 401}
                self.lost += status == 401


@dataclass
class World:
    """What a step changes, and what happens between two steps.

    *fields* has the fields that are rotated.
    """

    secret: Secret
    segment: Segment
    clock: Clock
    aws: FakeAws
    fields: Sequence[str]
    monkeypatch: pytest.MonkeyPatch

    def put(self, value: str | list[str]) -> None:
        """Set the rotated fields to *value*."""
        self.secret.put(**dict.fromkeys(self.fields, value))

    def switch(self) -> None:
        """Set the rotated fields to the new value in Segment."""
        if "segment_shared_secret" in self.fields:
            self.segment.secret = NEW
        if "segment_bearer_token" in self.fields:
            self.segment.token = NEW

    def go_on(self) -> None:
        """Let Segment send requests."""
        for _ in range(REQUESTS):
            self.clock.wait(INTERVAL)
            self.segment.send_next()

    def go_on_without_secrets_manager(self) -> None:
        """Let Segment send requests while the secret can't be read."""
        self.aws.fail("GetSecretValue", *[Fault()] * 100)
        self.go_on()
        self.aws.faults.clear()

    def go_on_after(self, seconds: float) -> None:
        """Let Segment send requests after a freeze, or a change of the clock."""
        self.clock.freeze(seconds)
        self.segment.send_next()
        self.go_on()

    def go_on_frozen(self) -> None:
        """Let Segment send requests; between them the function is frozen."""
        for _ in range(REQUESTS):
            self.clock.freeze(INTERVAL)
            self.segment.send_next()

    def go_on_elsewhere(self) -> None:
        """Let another sandbox of Lambda receive requests, and then this one again.

        A sandbox has a copy of the secret for each id under which it is read.
        """
        self.monkeypatch.setenv("SECRET_ID", self.secret.arn)
        self.go_on()
        self.monkeypatch.setenv("SECRET_ID", self.secret.name)
        self.go_on()


type Step = Callable[[World], None]

STEPS: Mapping[str, Step] = {
    "add": lambda world: world.put([NEW, OLD]),
    "switch": World.switch,
    "remove": lambda world: world.put(NEW),
    "rotate again": lambda world: world.put(NEWER),
    "roll back": lambda world: world.secret.roll_back(),
    "delete": lambda world: world.secret.delete(),
    "restore": lambda world: world.secret.restore(),
    "replace the key": lambda world: world.secret.put(hyperline_api_key="prod_new"),
}
RUNBOOK = ("add", "switch", "remove")
EMERGENCY = ("remove", "switch")
# A rotation by Secrets Manager, and what its owner does then.
AUTOMATIC = ("remove", "roll back")
INTERLUDES: Mapping[str, Step] = {
    "requests": World.go_on,
    "frozen between requests": World.go_on_frozen,
    "frozen for five hours": lambda world: world.go_on_after(5 * HOUR),
    "clock an hour back": lambda world: world.go_on_after(-HOUR),
    "clock an hour forward": lambda world: world.go_on_after(HOUR),
    "no Secrets Manager": World.go_on_without_secrets_manager,
    "two sandboxes": World.go_on_elsewhere,
}
LOSSLESS: Sequence[Sequence[str]] = (
    (),
    RUNBOOK,
    EMERGENCY,
    AUTOMATIC,
    ("add", "remove", "switch"),
    ("remove", "add", "switch"),
    ("remove", "switch", "add"),
    ("add", "switch", "remove", "roll back"),
    ("remove", "switch", "roll back", "remove"),
    ("delete", "restore"),
    ("replace the key",),
    ("add", "replace the key", "switch", "remove"),
)
FIELDS = ("segment_shared_secret", "segment_bearer_token")


def name_steps(steps: object) -> str | None:
    """Return the id of a test for *steps*."""
    return ", ".join(steps) or "nothing" if isinstance(steps, tuple) else None


@pytest.fixture
def world(
    send: Send,
    secret: Secret,
    clock: Clock,
    aws: FakeAws,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """A world in which both fields have the old value, for a long time."""
    for _ in range(2):
        secret.put(**dict.fromkeys(FIELDS, OLD), hyperline_api_key="prod_key")
    return World(secret, Segment(send), clock, aws, FIELDS, monkeypatch)


def walk(world: World, steps: Sequence[str], interlude: Step) -> int:
    """Take *steps*, each with an *interlude* after it; return the lost requests."""
    interlude(world)
    for step in steps:
        STEPS[step](world)
        interlude(world)
    world.go_on()
    return world.segment.lost


@pytest.mark.parametrize("interlude", INTERLUDES)
@pytest.mark.parametrize("steps", LOSSLESS, ids=name_steps)
def test_no_request_is_lost(world: World, steps: Sequence[str], interlude: str) -> None:
    """The secret is changed before Segment, so each request is accepted or retried."""
    assert walk(world, steps, INTERLUDES[interlude]) == 0
    assert world.segment.waiting == []


@pytest.mark.parametrize("steps", LOSSLESS, ids=name_steps)
@pytest.mark.parametrize("name", FIELDS)
def test_no_request_is_lost_if_one_field_is_rotated(
    world: World, steps: Sequence[str], name: str
) -> None:
    """The other field stays as it is."""
    world.fields = (name,)

    assert walk(world, steps, World.go_on) == 0
    assert world.segment.waiting == []


@pytest.mark.parametrize("steps", LOSSLESS, ids=name_steps)
def test_no_retry_is_rejected_that_keeps_its_signature(
    world: World, steps: Sequence[str]
) -> None:
    """It waits until the old value is put back, as long as Segment retries it."""
    world.segment.keeps_signatures = True

    assert walk(world, steps, World.go_on) == 0

    world.put([NEW, OLD])
    world.go_on()
    assert (world.segment.lost, world.segment.waiting) == (0, [])


@pytest.mark.parametrize(
    ("steps", "lost"),
    [
        (("switch", "add", "remove"), REQUESTS),
        (("switch", "remove", "add"), REQUESTS),
        (("switch", "remove"), REQUESTS),
        # The old value is neither in the current version nor in the previous one.
        (("remove", "rotate again"), 3 * REQUESTS),
        (("remove", "replace the key"), 3 * REQUESTS),
    ],
    ids=name_steps,
)
def test_requests_are_lost_if_the_order_is_wrong(
    world: World, steps: Sequence[str], lost: int
) -> None:
    """Nothing distinguishes them from forged ones; docs/operations.md says so."""
    assert walk(world, steps, World.go_on) == lost


def test_every_order_of_the_runbook_is_tested() -> None:
    """Two of the six orders lose requests: those in which Segment is changed first."""
    orders = set(permutations(RUNBOOK))

    assert {o for o in orders if o[0] != "switch"} <= set(LOSSLESS)
