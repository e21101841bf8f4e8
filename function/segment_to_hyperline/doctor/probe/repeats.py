"""Experiments with an id that exists."""

from functools import partial

from segment_to_hyperline.doctor.probe.experiment import Experiment
from segment_to_hyperline.doctor.probe.sandbox import Sandbox, Undecided

_SECONDS_EARLIER = 3_600


def find_repeated(sandbox: Sandbox, seconds_earlier: float) -> str:
    """Post an event, and another one with its id and a time that is so much earlier."""
    first = sandbox.create_event({"number": 1})
    second = first | {
        "timestamp": sandbox.format_time(seconds_earlier),
        "record": first["record"] | {"number": 2},
    }
    sandbox.post(first)
    if not sandbox.post(second).is_stored:
        return "rejected"
    rows = sandbox.read_settled(first)
    if len(rows) > 1:
        return "stored twice"
    match [row.get("record") for row in rows]:
        case [{"number": 2}]:
            return "replaced"
        case [{"number": 1}]:
            return "the first one stays"
        case _:
            raise Undecided("neither of the two events can be read")


REPEATS = (
    Experiment("repeated id", 4, partial(find_repeated, seconds_earlier=0)),
    Experiment(
        "older timestamp",
        4,
        partial(find_repeated, seconds_earlier=_SECONDS_EARLIER),
    ),
)
