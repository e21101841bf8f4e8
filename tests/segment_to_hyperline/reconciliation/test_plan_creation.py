"""The plan of a backfill, with what it needs later."""

from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.plan_creation import create_plan
from segment_to_hyperline.reconciliation.planning import Wanted
from segment_to_hyperline.reconciliation.target import Compared, open_target
from tests.segment_to_hyperline.reconciliation.corrections import HEADER, NOW, compare
from tests.segment_to_hyperline.reconciliation.helpers import START, add_event, body


def test_a_plan_without_the_queue_needs_no_events(ingestion: FakeHyperline) -> None:
    """It posts what the mapping gives, so the input isn't read again."""
    target = open_target(Endpoint(ingestion.url, ingestion.key), None)
    with Store() as store:
        add_event(store, "a", body("a", START))
        with compare(ingestion, store) as situation:
            compared = Compared(situation.found, HEADER, target)

            plan = create_plan(compared, [], Wanted(), NOW, is_queued=False)

    assert [item.record_id for item in plan.items] == ["a"]
    assert plan.texts == {}
    assert target.requests > 0
