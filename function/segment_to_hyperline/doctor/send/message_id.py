"""Choose the messageId of the event, which decides whether it can be billed.

Pure: no network, no environment, no clock.
"""

from segment_to_hyperline.hyperline.facts import SANDBOX
from segment_to_hyperline.segment.facts import TEST_MESSAGE_ID_PREFIXES

_OWN = "doctor-"


def create_message_id(environment: str, unique: str) -> str:
    """Return the messageId of an event for Hyperline's *environment*.

    Unless that is the sandbox, it begins like those of Segment's Event Tester, so that
    the event is previewed and never billed. *environment* is that of the API key, or
    empty if there is no valid key. *unique* is a string that no other event has.
    """
    prefix = "" if environment == SANDBOX else TEST_MESSAGE_ID_PREFIXES[0]
    return f"{prefix}{_OWN}{unique}"
