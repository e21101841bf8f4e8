"""What this version assumes about Hyperline where its documentation leaves it open.

`doctor --probe` finds out what holds in a sandbox. No deployed function imports this.
"""

from collections.abc import Mapping
from typing import NamedTuple

# What an answer means if no setting helps.
CANNOT_WORK = "this version can't work then"
NOT_DOCUMENTED = "not documented"

_PAGES = "https://docs.hyperline.co"
_EVENTS = f"{_PAGES}/api-reference/endpoints/billable-events"
_TYPES = f"{_PAGES}/docs/usage/send-usage-data"
_COMMAND_LINE = "https://www.npmjs.com/package/@hyperline/cli"
_HALVED = "larger batches are halved until they are accepted"


class Assumption(NamedTuple):
    """A question about Hyperline, and what this version does for each answer."""

    name: str
    question: str
    answer: str
    """The answer that is assumed, one of `answers`."""
    answers: Mapping[str, str]
    """What each possible answer means for this version.

    That is nothing if it works as it is, otherwise the setting to change, what happens
    to events, or `CANNOT_WORK`.
    """
    source: str
    """The page that suggests the answer, or `NOT_DOCUMENTED`."""
    used_by: tuple[str, ...]
    """The modules that depend on it."""

    @property
    def is_relied_on(self) -> bool:
        """Whether another answer would change what happens to events or reports."""
        return any(self.answers.values())


ASSUMPTIONS = (
    Assumption(
        "paths",
        "Which versions of the paths for posts exist?",
        "v1 and v2",
        {
            "v1 and v2": "",
            "v1": "",
            "v2": "set the parameter IngestionVersion to v2",
            "neither": CANNOT_WORK,
        },
        f"{_EVENTS}/ingest-billable-events",
        ("hyperline.facts", "hyperline.client"),
    ),
    Assumption(
        "rate limit headers",
        "Which headers have the rest of the rate limit?",
        "X-RateLimit",
        {
            "X-RateLimit": "",
            "none": "`reconcile` doesn't slow down while others use the rate limit",
        },
        f"{_PAGES}/developers/rate-limiting",
        ("reconciliation.api.pace",),
    ),
    Assumption(
        "key without scope",
        "What is the status if the key may not write billable events?",
        "403",
        {
            "403": "",
            "401": "",
            "404": "events go to Quarantine if others were accepted just before",
        },
        NOT_DOCUMENTED,
        ("hyperline.responses", "delivery"),
    ),
    Assumption(
        "unknown customer",
        "What happens to an event of a customer that doesn't exist?",
        "400 or 422",
        {
            "400 or 422": "",
            "403": "the event is retried, and the API key is reported as rejected",
            "404, 409 or 410": (
                "the event is retried until Hyperline accepts another one, and then"
                " goes to Quarantine"
            ),
            "another 4xx": "the event is retried until the customer exists",
            "listed as failed": "",
            "a customer is created": (
                "a mistyped customer id creates a customer, who is billed until"
                " somebody notices"
            ),
            "stored without a customer": (
                "an event with a mistyped customer id is billed to nobody, and"
                " `reconcile` reports it as different"
            ),
            "not stored": (
                "an event with a mistyped customer id isn't stored, and `reconcile`"
                " reports it as missing"
            ),
        },
        f"{_EVENTS}/create-billable-event",
        ("hyperline.responses",),
    ),
    Assumption(
        "response to an event",
        "What is the body of the response to an accepted event?",
        "empty",
        {"empty": "", "an object": "", "something else": CANNOT_WORK},
        NOT_DOCUMENTED,
        ("hyperline.responses", "reconciliation.api.client"),
    ),
    Assumption(
        "response to a batch",
        "How does the response to a batch name the accepted events?",
        "events_created",
        {
            "events_created": "",
            "events_accepted": "",
            "empty": "",
            "not at all": "each event is posted again alone",
            "something else": CANNOT_WORK,
        },
        f"{_EVENTS}/ingest-billable-events.md",
        ("hyperline.responses", "hyperline.plan"),
    ),
    Assumption(
        "two event types",
        "What happens to a batch with two event types?",
        "rejected",
        {
            "rejected": "",
            "accepted": "",
            "listed as failed": "",
        },
        _COMMAND_LINE,
        ("hyperline.plan",),
    ),
    Assumption(
        "bad event in a batch",
        "What happens to a batch with one invalid event?",
        "the batch is rejected",
        {
            "the batch is rejected": "",
            "the others are stored": "",
            "listed as failed": "",
            "left out": "",
        },
        NOT_DOCUMENTED,
        ("hyperline.plan", "hyperline.responses"),
    ),
    Assumption(
        "repeated id",
        "What happens to an event whose id exists, with other content?",
        "replaced",
        {
            "replaced": "",
            "the first one stays": (
                "`backfill --different` corrects nothing: delete the events, and then"
                " post them"
            ),
            "rejected": (
                "a corrected event goes to Quarantine: delete the stored one first"
            ),
            "stored twice": CANNOT_WORK,
        },
        f"{_EVENTS}/ingest-billable-event.md",
        ("pipeline", "reconciliation.backfill"),
    ),
    Assumption(
        "older timestamp",
        "What happens to an event whose id exists, with an earlier time?",
        "replaced",
        {
            "replaced": "",
            "the first one stays": (
                "`backfill --different` can't correct a time to an earlier one: delete"
                " the events, and then post them"
            ),
            "rejected": (
                "an event that is corrected to an earlier time goes to Quarantine:"
                " delete the stored one first"
            ),
            "stored twice": (
                "an event that is corrected to an earlier time is billed twice: delete"
                " the stored one first"
            ),
        },
        f"{_PAGES}/docs/usage/send-your-usage-data",
        ("reconciliation.backfill",),
    ),
    Assumption(
        "nested object",
        "What happens to an event with an object in a property?",
        "rejected",
        {"rejected": "", "accepted": "", "left out": ""},
        _TYPES,
        ("hyperline.facts", "mapping.fields"),
    ),
    Assumption(
        "null",
        "What happens to an event with null in a property?",
        "rejected",
        {"rejected": "", "accepted": "", "left out": ""},
        _TYPES,
        ("hyperline.facts", "mapping.fields"),
    ),
    Assumption(
        "array of objects",
        "What happens to an event with an array of objects in a property?",
        "rejected",
        {"rejected": "", "accepted": "", "left out": ""},
        _TYPES,
        ("hyperline.facts", "mapping.fields"),
    ),
    Assumption(
        "largest body",
        "How large can the body of a request be?",
        "at least 4 MB",
        {
            "at least 4 MB": "",
            "at least 1 MB": _HALVED,
            "at least 250 KB": _HALVED,
            "less than 250 KB": f"{_HALVED}, and a larger event goes to Quarantine",
        },
        NOT_DOCUMENTED,
        ("hyperline.batch_size", "hyperline.billable_event"),
    ),
    Assumption(
        "delay",
        "After how long can a stored event be read?",
        "within 5 seconds",
        {
            "within 5 seconds": "",
            "within a minute": (
                "`reconcile` reports events of the last minute as missing"
            ),
            "later": "`reconcile` reports events as missing until they can be read",
        },
        NOT_DOCUMENTED,
        ("reconciliation.compare", "reconciliation.backfill"),
    ),
    Assumption(
        "equal times",
        "Are events with the same time read in the same order each time?",
        "in the same order",
        {"in the same order": "", "in another order": ""},
        NOT_DOCUMENTED,
        ("reconciliation.api.events",),
    ),
    Assumption(
        "microseconds",
        "How are the microseconds of a time read?",
        "rounded down",
        {"rounded down": "", "rounded": "", "kept": "", "rejected": ""},
        f"{_EVENTS}/get-events",
        ("mapping.fields", "reconciliation.api.rows"),
    ),
    Assumption(
        "large integers",
        "How is an integer above 2^53 read?",
        "exact",
        {
            "exact": "",
            "rounded": "`reconcile --deep` reports an event with one as different",
            "rejected": "an event with one goes to Quarantine",
        },
        NOT_DOCUMENTED,
        ("reconciliation.evaluation",),
    ),
    Assumption(
        "decimals",
        "How is a number with 17 digits read?",
        "exact",
        {
            "exact": "",
            "rounded": "`reconcile --deep` reports an event with one as different",
            "rejected": "an event with one goes to Quarantine",
        },
        NOT_DOCUMENTED,
        ("reconciliation.evaluation",),
    ),
)
