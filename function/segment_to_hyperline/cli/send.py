"""The command `send`: send events as Segment does, and show the responses."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import click

from segment_to_hyperline.archive.captured import UnreadableLine
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.sources import Source, find_sources, read_sources
from segment_to_hyperline.batching import group_items
from segment_to_hyperline.cli.inputs import find_now
from segment_to_hyperline.cli.statuses import CHECK_FAILED, fail, format_epilog
from segment_to_hyperline.elements import TooDeep
from segment_to_hyperline.secret import Secret, SecretError
from segment_to_hyperline.segment.facts import MAX_BATCH_EVENTS
from segment_to_hyperline.sending.local import SIGNER, create_url
from segment_to_hyperline.sending.posting import post
from segment_to_hyperline.sending.responses import NoResponse, Response, summarize
from segment_to_hyperline.sending.webhook import Signer, Webhook
from segment_to_hyperline.text import format_count

if TYPE_CHECKING:  # it imports boto3
    from segment_to_hyperline.installed.stack import Stack

# API Gateway waits as long for the Receiver, which is started for the first request.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
_SECONDS = 30
# An invocation of Lambda has at most 6 MB, of which quotes can take a part.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_MAX_BODY_BYTES = 4_000_000
_USE_STACK = "The secret of `local` was used. For a deployed stack, use --stack."
_START = "start the local stack with `segment-to-hyperline local`"


class Target(NamedTuple):
    """Where to send, and the credentials for it."""

    url: str
    signer: Signer
    is_local: bool


class Request(NamedTuple):
    """A request to send."""

    name: str
    """The file that its events are from."""
    events: int
    """How many there are."""
    webhook: Webhook


@click.command(
    epilog=format_epilog(
        "send event.json",
        {CHECK_FAILED: "an event is quarantined or pending, or a request failed"},
    ),
)
@click.argument("events", nargs=-1, required=True)
@click.option(
    "--url", help=f"Where to send; by default to `local`, which is {create_url()}."
)
@click.option(
    "--stack", metavar="NAME", help="Deployed stack to send to, after asking."
)
@click.option("--region", help="Its AWS region; by default that of the AWS CLI.")
@click.option("--yes", is_flag=True, help="Send to the stack without asking.")
def send(
    events: tuple[str, ...],
    url: str | None,
    stack: str | None,
    region: str | None,
    *,
    yes: bool,
) -> None:
    """Sign and send the Segment events in EVENTS as Segment does.

    EVENTS are files, folders and s3://BUCKET/PREFIX, as for preview. An event that is
    alone in its file is sent as it is, and several as an array, as Segment sends its
    batches.

    The events are sent to the stack that `local` keeps running, or to --url, with the
    secret of `local`. With --stack, they are sent to a deployed stack with its secret,
    and are billed there.
    """
    if stack is None and (region or yes):
        raise click.UsageError("--region and --yes need --stack")
    try:
        if stack is None:
            target = Target(url or create_url(), SIGNER, is_local=True)
        else:
            target = find_target(stack, region, url)
        requests = [
            request
            for source in find_sources(events)
            for request in create_requests(source, target.signer)
        ]
    except (InputError, SecretError) as error:
        raise click.UsageError(str(error)) from error
    if not requests:
        raise click.UsageError(f"{', '.join(events)}: no events")
    if not (target.is_local or yes):
        shown = format_count(sum(request.events for request in requests), "event")
        confirm(f"Send {shown} to {target.url}, and bill what the mapping selects?")
    failed = sum(not send_one(request, target) for request in requests)
    if failed:
        number = format_count(len(requests), "request")
        fail(f"{failed:,} of {number} failed, or has quarantined or pending events")


def confirm(question: str) -> None:
    """Exit unless the answer to *question* is yes; without a terminal it is no."""
    try:
        is_confirmed = click.confirm(question)
    except click.Abort:
        click.echo()
        is_confirmed = False
    if not is_confirmed:
        fail("nothing was sent: answer with y, or use --yes")


def find_target(name: str, region: str | None, url: str | None) -> Target:
    """Return the stack *name*, or *url*, with the credentials of the stack.

    Raises `InputError` or `SecretError`.
    """
    module = import_module("segment_to_hyperline.installed.stack")  # slow to import
    stack: Stack = module.find_stack(name, region)
    fields = module.read_secret(stack.secret_id, stack.region)
    secrets, tokens, _warnings = Secret(fields, find_now()).credentials
    found = url or stack.webhook_url
    if found is None:
        raise InputError(f"the stack '{name}' has no output WebhookUrl: use --url")
    return Target(found, Signer.create(secrets, tokens), is_local=False)


def create_requests(source: Source, signer: Signer) -> Iterator[Request]:
    """Yield the requests with the events of *source*; raises `InputError`."""
    texts = list(_read_texts(source))
    groups = group_items(
        texts,
        lambda text: len(text.encode()) + 1,
        max_items=MAX_BATCH_EVENTS,
        max_bytes=_MAX_BODY_BYTES,
    )
    for group in groups:
        yield Request(source.name, len(group), _sign(group, signer, len(texts)))


def _read_texts(source: Source) -> Iterator[str]:
    for _, item, _ in read_sources([source]):
        if isinstance(item, UnreadableLine):
            raise InputError(item.reason)
        if not isinstance(item.event.data, dict | TooDeep):
            raise InputError(f"'{source.name}': line {item.line} is not an event")
        yield item.event.text


def _sign(texts: Sequence[str], signer: Signer, number: int) -> Webhook:
    return signer.single(texts[0]) if number == 1 else signer.array(texts)


def send_one(request: Request, target: Target) -> bool:
    """Send *request*, print the response, and return whether all is well."""
    response = post(target.url, request.webhook, _SECONDS)
    if isinstance(response, NoResponse) and target.is_local:
        fail(f"{target.url}: {response.reason}; {_START}")
    summary = summarize(response)
    click.echo(f"{request.name}: {summary.line}")
    for reason in summary.reasons:
        click.echo(f"  {reason}")
    if target.is_local and isinstance(response, Response) and response.status == 401:
        click.echo(_USE_STACK, err=True)
    return summary.is_success
