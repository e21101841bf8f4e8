"""Events are delivered again with a refreshed key if the one in use is rejected."""

import pytest

from local_stack.fake_api import FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.delivery import deliver_events
from segment_to_hyperline.hyperline.failures import Failure
from segment_to_hyperline.hyperline.plan import RECEIVER, Outgoing
from segment_to_hyperline.hyperline.posts import Posts
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.secret_cache import read_secret
from tests.conftest import Secret
from tests.samples import read_rules, track

ACCEPTED = FakeResponse(202, b"")


def deliver() -> tuple[list[Failure | None], Posts]:
    """Deliver two events, of different types, so that each is posted alone."""
    rules = read_rules("record = {}")
    tracks = (track(messageId=name, event=name) for name in ("a", "b"))
    events = [event for each in tracks for event in apply_rules(rules, each)]
    used = read_secret(Deadline(5))
    delivery = deliver_events(Outgoing(events), used, Deadline(5), RECEIVER)
    return [delivery.failures[event.key] for event in events], delivery.posts


@pytest.mark.parametrize(
    ("responses", "accepts"), [((ACCEPTED, 401, 503), True), ((401, 503), False)]
)
@pytest.mark.usefixtures("stale_secret")
def test_a_post_that_was_accepted_before_counts(
    hyperline: FakeHyperline,
    responses: tuple[FakeResponse | int, ...],
    *,
    accepts: bool,
) -> None:
    """Else the Replayer would pause although Hyperline accepts events."""
    hyperline.respond(*responses)

    _, posts = deliver()

    assert posts.has_accepted == accepts
    assert len(posts.seconds) == len(hyperline.requests) == len(responses)


@pytest.mark.parametrize("changed", [{"hyperline_api_key": None}, None])
def test_what_is_wrong_with_the_refreshed_secret_is_the_reason(
    stale_secret: Secret, hyperline: FakeHyperline, changed: dict[str, None] | None
) -> None:
    """The key that was rejected is no longer the one to correct."""
    used = read_secret(Deadline(5))
    event = apply_rules(read_rules("record = {}"), track())[0]
    hyperline.respond(401)
    if changed is None:
        stale_secret.write("not JSON")
    else:
        stale_secret.put(**changed)

    delivery = deliver_events(Outgoing([event]), used, Deadline(5), RECEIVER)

    failure = delivery.failures[event.key]
    assert failure
    assert failure.code is Code.SECRET_UNUSABLE


@pytest.mark.usefixtures("stale_secret")
@pytest.mark.parametrize(
    "responses", [(ACCEPTED, 401, ACCEPTED), (401, ACCEPTED, ACCEPTED)]
)
def test_a_refreshed_key_is_used_for_what_was_rejected(
    hyperline: FakeHyperline, responses: tuple[FakeResponse | int, ...]
) -> None:
    """What was accepted is not posted a second time."""
    hyperline.respond(*responses)

    failures, posts = deliver()

    assert failures == [None, None]
    assert posts.accepts_others
    assert len(hyperline.requests) == 3
