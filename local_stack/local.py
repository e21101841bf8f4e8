"""The command `local`: keep the local stack running until Ctrl-C.

It listens on an address that the container of `sam local` can reach: on Linux Docker's
bridge, elsewhere 127.0.0.1. BIND_HOST sets another address.
"""

import json
import os
import shlex
import signal
import socket

import click

from local_stack.aws import REGION, ROOT, exit_on_sigterm
from local_stack.stack import SECRET, LocalStack, deploy
from segment_to_hyperline.cli.statuses import CHECK_FAILED, format_epilog

DOCKER_BRIDGE = "172.17.0.1"
ENVIRONMENT = ROOT / ".aws-sam/local-environment.json"


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


def describe(stack: LocalStack) -> str:
    """Return the stack's URL and secret, and commands to try."""
    sample = json.loads((ROOT / "events/track.json").read_text("utf-8"))
    url = f"{stack.api_url}/segment"
    curl = ["curl", "-i", url]
    for name, value in sample["headers"].items():
        if name != "host":
            curl += ["-H", f"{name}: {value}"]
    return f"""
URL     {url}
Secret  {json.dumps(SECRET)}

Send events/track.json:
  {shlex.join([*curl, "-d", sample["body"]])}
Show the events stored in Hyperline:
  curl -H "Authorization: Bearer {stack.hyperline.key}" \\
    "{stack.hyperline.url}/v1/events?event_type=Seats%20Added"
See what waits in Quarantine, in another shell:
  export AWS_ENDPOINT_URL={stack.endpoint} AWS_DEFAULT_REGION={REGION}
  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local
  segment-to-hyperline quarantine list
Run the function in Lambda's container, in another shell:
  sam local invoke Receiver -e events/track.json
  sam local invoke Replayer -e events/parked-message.json
Run the API with the function in Lambda's container:
  sam local start-api

Press Ctrl-C to stop."""


@click.command(
    epilog=format_epilog("local", {CHECK_FAILED: "the local AWS or SAM failed"})
)
def local() -> None:
    """Keep the application running in a local AWS, until Ctrl-C.

    It prints the URL, an example request, and where to see the stored events.
    """
    exit_on_sigterm()
    with deploy(choose_host()) as stack:
        write_environment(stack)
        print(describe(stack), flush=True)
        try:
            signal.pause()
        finally:
            ENVIRONMENT.unlink(missing_ok=True)
