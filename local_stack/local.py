"""The command `local`: keep the local stack running until Ctrl-C.

Segment's requests go through a proxy, which shows them. The rest listens on an address
that the container of `sam local` can reach: on Linux Docker's bridge, elsewhere
127.0.0.1. BIND_HOST sets another address.
"""

import errno
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from local_stack.aws import REGION, ROOT, Progress, SamError
from local_stack.processes import ending_cleanly
from local_stack.stack import SECRET, LocalStack, build_and_deploy, deploy
from local_stack.watched_files import WatchedFiles
from local_stack.webhook_proxy import WebhookProxy
from segment_to_hyperline.cli.statuses import CHECK_FAILED, format_epilog
from segment_to_hyperline.defaults import MAPPING_VARIABLE
from segment_to_hyperline.errors import Error
from segment_to_hyperline.mapping_tests.check import check_mapping, find_tests
from segment_to_hyperline.sending.local import PATH, PORT

DOCKER_BRIDGE = "172.17.0.1"
ENVIRONMENT = ROOT / ".aws-sam/local-environment.json"
LOCK = ROOT / ".aws-sam/local-lock"
MAPPING = Path(os.environ.get(MAPPING_VARIABLE) or ROOT / "function/mapping.toml")


def choose_host() -> str:
    """Return the address to listen on."""
    if host := os.environ.get("BIND_HOST"):
        return host
    try:
        socket.create_server((DOCKER_BRIDGE, 0)).close()
    except OSError:
        return "127.0.0.1"
    return DOCKER_BRIDGE


def write_environment(stack: LocalStack) -> None:
    """Write the environment that samconfig.toml sets for `sam local invoke`."""
    host = "host.docker.internal"
    endpoint = stack.endpoint.replace(stack.host, host)
    queues = {
        name: stack.resources[name].partition("//")[2].partition("/")[2]
        for name in ("Quarantine", "Replay")
    }
    variables = {
        "HYPERLINE_URL": stack.hyperline.url.replace(stack.host, host),
        "QUARANTINE_QUEUE_URL": f"{endpoint}/{queues['Quarantine']}",
        "REPLAY_QUEUE_URL": f"{endpoint}/{queues['Replay']}",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": endpoint,
        "AWS_ENDPOINT_URL_SQS": endpoint,
    }
    functions = dict.fromkeys(("Receiver", "Replayer"), variables)
    ENVIRONMENT.write_text(json.dumps(functions, indent=2))


def describe(stack: LocalStack, url: str) -> str:
    """Return the addresses and the secret of the stack, and commands to try."""
    option = "" if url.endswith(f":{PORT}{PATH}") else f" --url {url}"
    return f"""
URL        {url}
Secret     {json.dumps(SECRET)}
Hyperline  {stack.hyperline.url}
AWS        {stack.endpoint}

Send an event, in another shell:
  segment-to-hyperline send events/track.json{option}
Change the mapping: edit {MAPPING}. It is deployed when you save it.
Show the events stored in Hyperline:
  curl -H "Authorization: Bearer {stack.hyperline.key}" \\
    "{stack.hyperline.url}/v1/events?event_type=Seats%20Added"
Use the AWS CLI, and see what waits in Quarantine, in another shell:
  export AWS_ENDPOINT_URL={stack.endpoint} AWS_DEFAULT_REGION={REGION}
  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local
  aws sqs list-queues
  segment-to-hyperline quarantine list
Run the function in Lambda's container, in another shell:
  sam local invoke Receiver -e events/track.json
  sam local invoke Replayer -e events/parked-message.json
Run the API with the function in Lambda's container:
  sam local start-api

Press Ctrl-C to stop. The requests:"""


@contextmanager
def lock_checkout() -> Iterator[None]:
    """Exit if the command runs in this checkout already, because it writes a file."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise click.UsageError(
                "`local` runs in this checkout already: use it, or stop it with Ctrl-C"
            ) from error
        yield


def open_proxy(port: int) -> WebhookProxy:
    """Return the proxy, which listens; exit if the port isn't free."""
    try:
        return WebhookProxy(port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise click.UsageError(
            f"another program listens on port {port}: choose one with --port"
        ) from error


def deploy_mapping(stack: LocalStack) -> None:
    """Deploy the changed mapping; print what is wrong with it, if anything is."""
    try:
        check_mapping(MAPPING)
        build_and_deploy(stack.endpoint, stack.parameters, Progress(quiet=False))
    except (Error, SamError) as error:
        print(
            f"{error}\nThe changed mapping isn't deployed, see above", file=sys.stderr
        )
    else:
        print("The changed mapping is deployed", file=sys.stderr)


def serve(stack: LocalStack, proxy: WebhookProxy, files: WatchedFiles) -> None:
    """Print a line for each request, and deploy each change of *files*."""
    while True:
        for line in proxy.wait_for_lines(seconds=1):
            print(line, flush=True)
        if files.have_changed():
            deploy_mapping(stack)


@click.command(
    epilog=format_epilog("local", {CHECK_FAILED: "the local AWS or SAM failed"})
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=PORT,
    show_default=True,
    help="Port for the requests of `send`.",
)
def local(port: int) -> None:
    """Keep the application running in a local AWS, until Ctrl-C.

    It prints the addresses, commands to try, and a line for each request: the status,
    the outcomes, the first reason, and what was posted to Hyperline. A change of the
    mapping is deployed.
    """
    # Also what is changed during the first deployment is deployed.
    files = WatchedFiles(MAPPING, find_tests(MAPPING))
    with (
        lock_checkout(),
        ending_cleanly(),
        open_proxy(port) as proxy,
        deploy(choose_host()) as stack,
    ):
        proxy.connect(stack.api_url, stack.hyperline)
        write_environment(stack)
        print(describe(stack, f"{proxy.url}{PATH}"), flush=True)
        try:
            serve(stack, proxy, files)
        finally:
            ENVIRONMENT.unlink(missing_ok=True)
