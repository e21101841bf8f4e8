"""The command `request`: sign an event as Segment does, for `sam local invoke`."""

import json

import click

from local_stack.segment_requests import to_api_gateway
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.sources import find_sources
from segment_to_hyperline.cli.send import create_requests
from segment_to_hyperline.cli.statuses import format_epilog
from segment_to_hyperline.sending.local import SIGNER


@click.command(epilog=format_epilog("request event.json"))
@click.argument("events", default="-")
def request(events: str) -> None:
    """Print the API Gateway request for the Segment events in the file EVENTS.

    EVENTS is a file as for preview, by default the standard input. Several events
    become an array. The request is signed with the secret of `local`, for `sam local
    invoke`.
    """
    try:
        requests = [
            request
            for source in find_sources([events])
            for request in create_requests(source, SIGNER)
        ]
    except InputError as error:
        raise click.UsageError(str(error)) from error
    if len(requests) != 1:
        number = "more than one request" if requests else "no events"
        raise click.UsageError(f"{events}: {number}".replace("-:", "<stdin>:"))
    content = to_api_gateway(requests[0].webhook)
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))
