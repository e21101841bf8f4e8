"""The command `request`: sign an event as Segment does, for `sam local invoke`."""

import json
from typing import Any, BinaryIO

import click

from local_stack.segment_requests import array, single, to_api_gateway, write
from segment_to_hyperline.cli.statuses import format_epilog


@click.command(epilog=format_epilog("request event.json"))
@click.argument("events", type=click.File("rb"), default="-")
def request(events: BinaryIO) -> None:
    """Print the API Gateway request for the Segment event in the file EVENTS.

    EVENTS is one JSON object, or an array of several; by default the standard input.
    The request is signed with the secret of `local`, for `sam local invoke`.
    """
    try:
        content = create_request(events.read())
    except ValueError as error:
        raise click.UsageError(f"{events.name}: {error}") from error
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def create_request(content: bytes) -> dict[str, Any]:
    """Return the API Gateway request for *content*: an event, or an array of events.

    Raises ValueError if it is neither.
    """
    try:
        parsed = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    match parsed:
        case dict():
            return to_api_gateway(single(write(parsed)))
        case [_, *_]:
            return to_api_gateway(array([write(event) for event in parsed]))
        case _:
            raise ValueError("neither an event nor an array of events")
