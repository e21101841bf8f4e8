"""The pipeline: computing counts against the time budget too."""

import json
from typing import Any

from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import BEARER_TOKEN, array, write
from receiver import RULES
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.elements import Element
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.pipeline import bill_events, process_events
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.secret_cache import read_secret
from segment_to_hyperline.segment.events import DecodedEvent, Event
from tests.conftest import Queue, Secret, Send
from tests.samples import track


def decoded(data: dict[str, Any]) -> DecodedEvent:
    """Return the event with this *data*."""
    return Event.create(Element(data, json.dumps(data))), data


def test_no_event_is_mapped_after_the_deadline(
    secret: Secret, hyperline: FakeHyperline
) -> None:
    """It is pending, so that Segment or the Replayer tries again."""
    assert secret

    results = bill_events(
        [decoded(track())], RULES, read_secret(Deadline(5)), Deadline(0)
    )

    (result,) = results.all
    assert results.posts.seconds == ()
    assert result.outcome is Outcome.PENDING
    assert result.code is Code.LATE
    assert result.reason == "the time budget was exceeded before the event was mapped"
    assert hyperline.requests == []


def test_why_a_test_event_could_not_be_mapped_is_shown(secret: Secret) -> None:
    """Not that it would be withheld, which says nothing about the mapping."""
    secret.put(hyperline_api_key="prod_1")
    data = track(messageId="segment-test-message-1")

    results = bill_events([decoded(data)], RULES, read_secret(Deadline(5)), Deadline(0))

    (result,) = results.all
    assert (result.outcome, result.code) == (Outcome.PREVIEWED, Code.LATE)


def test_a_stored_event_has_the_environment_of_the_key_that_was_used(
    quarantine: Queue, stale_secret: Secret
) -> None:
    """A key that is replaced meanwhile doesn't make a sandbox event a live one."""
    used = read_secret(Deadline(5))
    stale_secret.put(hyperline_api_key="prod_key")
    unmappable = decoded(track(userId=None))

    process_events([unmappable], RULES, used, Deadline(5))

    (attributes,) = quarantine.attributes()
    assert attributes["Environment"] == "sandbox"


def test_deeply_nested_events_do_not_stop_the_others(
    send: Send,
    secret: Secret,
    hyperline: FakeHyperline,
) -> None:
    """180 nested events of 32 KB and 10 harmless ones are all billed in one request."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    nested = json.loads(f"[{','.join(['[' * 900 + ']' * 900] * 17)}]")
    events = [
        write(
            track(messageId=f"m-{n}", properties={"nested": nested} if n < 180 else {})
        )
        for n in range(190)
    ]

    response = send(array(events))

    assert response.counts == {"delivered": 190}
    assert len(hyperline.store) == 190
