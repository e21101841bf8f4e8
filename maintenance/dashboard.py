"""Write the outcomes of events into the dashboard of monitoring.yaml."""

import json
import re

from segment_to_hyperline.outcomes import Outcome

# What comes before and after the outcomes in the widgets of both functions.
_RECEIVER = re.compile(
    r'(\n +\["SegmentToHyperline", "Received".*"color".*\n)(?:.*\n)*?.*'
    r'(?="label": "Unaccounted)'
)
_REPLAYER = re.compile(
    r'(\n +\["SegmentToHyperline", "Received", "service", "replayer".*\n)(?:.*\n)*?'
    r'(?= +\{"type")'
)
_INDENT = " " * 14


def write_outcomes(template: str) -> str:
    """Return the text of *template*, whose dashboard has each outcome."""
    metrics = list(dict.fromkeys(outcome.value.metric for outcome in Outcome))
    filled = "".join(f"-FILL({metric.lower()},0)" for metric in metrics)
    receiver = "".join(
        f"{_write('receiver', metric, {'id': metric.lower(), 'stat': 'Sum'})},\n"
        for metric in metrics
    )
    unaccounted = f'{_INDENT}[{{"expression": "FILL(received,0){filled}", '
    replayer = ",\n".join(_write("replayer", metric) for metric in metrics)
    template = _replace(_RECEIVER, receiver + unaccounted, template)
    return _replace(_REPLAYER, f"{replayer}]}}}},\n", template)


def _replace(place: re.Pattern[str], outcomes: str, template: str) -> str:
    """Return *template* with *outcomes* at *place*; raises ValueError without it."""
    written, number = place.subn(lambda found: found[1] + outcomes, template)
    if number != 1:
        raise ValueError(f"the dashboard has no widget like {place.pattern}")
    return written


def _write(function: str, metric: str, options: dict[str, str] | None = None) -> str:
    row = ["SegmentToHyperline", metric, "service", function, "stack", "${Stack}"]
    return _INDENT + json.dumps([*row, *([options] if options else [])])
