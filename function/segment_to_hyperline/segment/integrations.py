"""Find out whether Segment sends an event to a destination.

An event chooses its destinations in its field `integrations`. Those that it excludes
don't receive it, but it is in Segment's archive in S3.
"""

from collections.abc import Mapping
from typing import Any

from segment_to_hyperline.segment.facts import DESTINATION_NAMES, WEBHOOKS_ACTIONS

_ALL = "all"


def is_sent(event: Any, destination: str = WEBHOOKS_ACTIONS) -> bool:
    """Return whether Segment sends *event*, a decoded JSON value, to *destination*.

    *destination* is its name in `integrations`. A flag of the destination supersedes
    `All`, and without either, an event is sent. Filters and triggers are not known.
    """
    # https://www.twilio.com/docs/segment/guides/filtering-data#filtering-with-the-integrations-object
    flags = event.get("integrations") if isinstance(event, Mapping) else None
    if not isinstance(flags, Mapping):  # events of the type `delete` have null or []
        return True
    for name in DESTINATION_NAMES.get(destination, (destination,)):
        if name in flags:
            return _is_enabled(flags[name])
    # Segment's page for .NET writes "all", and its library accepts any case. The names
    # of destinations are case-sensitive.
    return all(_is_enabled(flags[name]) for name in flags if name.lower() == _ALL)


def _is_enabled(flag: Any) -> bool:
    """Return whether *flag* enables a destination, as an object of options does."""
    # Segment's library only looks at booleans.
    # https://github.com/segmentio/facade
    return flag is not False
