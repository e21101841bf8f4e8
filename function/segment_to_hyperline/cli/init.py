"""The command `init`."""

import os
import re
import sys
from secrets import token_hex
from typing import Any

import click

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.cli.inputs import DEFAULT_STACK
from segment_to_hyperline.cli.statuses import format_epilog
from segment_to_hyperline.hyperline.facts import PRODUCTION
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.installed.secret_store import SecretStore, subscribe
from segment_to_hyperline.installed.stack import find_environment
from segment_to_hyperline.reconciliation.api.client import Client, Patience, ignore_wait
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.failures import (
    AccessError,
    Forbidden,
    HyperlineUnavailable,
    InvalidKey,
)
from segment_to_hyperline.reconciliation.api.pace import Pace
from segment_to_hyperline.secret import (
    API_KEY,
    BEARER_TOKEN,
    SHARED_SECRET,
    SecretError,
    find_endpoint,
)

# A person waits, and the key is also checked by doctor.
_PATIENCE = Patience(success=5, connection=5, response=10)
_RANDOM_BYTES = 32
# SNS rejects others, but only when the secret has been created.
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
SHOW_SETTINGS = "segment-to-hyperline doctor --show-segment-settings"


@click.command(epilog=format_epilog("init --email you@example.com"))
@click.option(
    "--email",
    metavar="ADDRESS",
    help="Also create the SNS topic of the alarms, which notifies this address.",
)
@click.option(
    "--api-key", is_flag=True, help="Change only the API key of an existing secret."
)
@click.option(
    "--go-live",
    is_flag=True,
    help="Replace the sandbox key, and both random strings, for production.",
)
@click.option(
    "--secret-id",
    default=DEFAULT_STACK,
    show_default=True,
    metavar="NAME",
    help="Name of the secret; a stack reads the one that has its name.",
)
@click.option("--region", help="AWS region; by default that of the AWS CLI.")
def init(
    email: str | None,
    secret_id: str,
    region: str | None,
    *,
    api_key: bool,
    go_live: bool,
) -> None:
    """Create the secret that a stack reads, before you deploy it.

    It has the API key of Hyperline and two random strings, with which Segment
    authenticates. The key is asked for and not shown; if the standard input is no
    terminal, it is read from there. It is tried in Hyperline, and no value is printed.
    An existing secret is only changed by --api-key and --go-live.
    """
    if (bool(email), api_key, go_live).count(True) > 1:
        raise click.UsageError("use one of --email, --api-key and --go-live")
    if email and not _EMAIL.fullmatch(email):
        raise click.UsageError(f"--email: '{email}' is not an email address")
    try:
        store = SecretStore(secret_id, region)
        if api_key or go_live:
            change(store, go_live=go_live)
        else:
            create(store, email)
    except (InputError, SecretError, InvalidKey) as error:
        raise click.UsageError(str(error)) from error


def create(store: SecretStore, email: str | None) -> None:
    """Create what is missing, and print what to do next."""
    exists = store.exists()
    if exists and not email:
        raise InputError(
            f"the secret '{store.name}' in the region {store.region} exists already:"
            " nothing was changed; use --api-key to change its API key, or --secret-id"
            " for the secret of another stack"
        )
    if exists:
        click.echo(f"The secret {store.name} exists already, and was not changed.")
    else:
        endpoint = ask_key()
        store.create({API_KEY: endpoint.api_key} | create_random_fields())
        click.echo(
            f"Created the secret {store.name} in {store.region}, with a key of"
            f" Hyperline's {endpoint.environment} and two random strings."
        )
    topic = ""
    if email:
        topic = subscribe(email, store.name, store.region)
        click.echo(f"AWS sends a mail to {email}: open the link in it.")
    click.echo("\n".join(describe_deployment(store, topic)))


def create_random_fields() -> dict[str, Any]:
    """Return new values of the fields that authenticate Segment."""
    return {name: token_hex(_RANDOM_BYTES) for name in (SHARED_SECRET, BEARER_TOKEN)}


def describe_deployment(store: SecretStore, topic: str) -> list[str]:
    """Return what to do next: the alarms notify the *topic*, an ARN, if any."""
    name = "" if store.name == DEFAULT_STACK else store.name
    deploy = "sam build && sam deploy"
    deploy += f" --stack-name {name}" if name else ""
    deploy += f" --parameter-overrides AlarmTopicArn={topic}" if topic else ""
    show = f"{SHOW_SETTINGS} --stack {name}" if name else SHOW_SETTINGS
    return [
        "Next, deploy in this region, and print what to paste into Segment:\n",
        f"  export AWS_DEFAULT_REGION={store.region}",
        f"  {deploy}",
        f"  {show}",
    ]


def change(store: SecretStore, *, go_live: bool) -> None:
    """Replace the API key; with *go_live*, also the random strings that there are."""
    if not store.exists():
        raise InputError(
            f"there is no secret '{store.name}' in the region {store.region}: create it"
            " without --api-key and --go-live, or check --secret-id and --region"
        )
    fields = store.read()
    endpoint = ask_key()
    old = fields.get(API_KEY)
    if isinstance(old, str) and old:
        check_change(find_environment(old), endpoint.environment, go_live=go_live)
    changed = fields | {API_KEY: endpoint.api_key}
    if go_live:
        random = create_random_fields()
        changed |= {name: random[name] for name in random if name in fields}
    store.replace(changed)
    click.echo(f"Changed the API key in the secret {store.name} in {store.region}.")
    if go_live:
        click.echo(
            f"Set the new values in Segment, which this prints:\n\n  {SHOW_SETTINGS}"
        )


def check_change(old: str, new: str, *, go_live: bool) -> None:
    """Raise `InputError` if a key of the environment *new* can't replace the *old* one.

    Otherwise real events are billed to nobody, or those of tests to customers.
    """
    if go_live and (old == PRODUCTION or new != PRODUCTION):
        raise InputError(
            "--go-live replaces a sandbox key with a production key, and these are keys"
            f" of {old} and {new}: nothing was changed"
        )
    if not go_live and new != old:
        raise InputError(
            f"the secret has a key of Hyperline's {old}, and this one is of {new}:"
            " nothing was changed; use --go-live to move a stack from sandbox to"
            " production, or --secret-id for the secret of another stack"
        )


def ask_key() -> Endpoint:
    """Return the key that the person types, and where it is used.

    Raises `InputError`, `SecretError`, or `InvalidKey` if Hyperline doesn't accept it.
    """
    if sys.stdin.isatty():
        key = click.prompt("Hyperline API key", hide_input=True, err=True)
    else:
        key = sys.stdin.readline()
    key = key.strip()
    if not key:
        raise InputError("no API key was typed, and nothing was changed")
    endpoint = find_endpoint({API_KEY: key}, os.environ.get("HYPERLINE_URL") or None)
    try_key(endpoint)
    return endpoint


def try_key(endpoint: Endpoint) -> None:
    """Read with a key; raises `InvalidKey`. What else fails doesn't matter yet."""
    try:
        client = Client(*endpoint, Pace(), ignore_wait, _PATIENCE)
        Events(client).check()
    except InvalidKey:
        raise
    except Forbidden:
        click.echo(
            "Note: the key can't read billable events. Add the scope in Hyperline's"
            " settings, so that doctor and reconcile work.",
            err=True,
        )
    except (AccessError, HyperlineUnavailable) as error:
        click.echo(f"Note: the key could not be tried: {error}.", err=True)
