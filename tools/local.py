"""Keep the local stack running and print how to call it; Ctrl-C stops it.

It listens where the container of `sam local` reaches this machine: on Linux that is the
address of Docker's bridge, elsewhere 127.0.0.1. BIND_HOST names another address.
"""

import json
import os
import shlex
import signal
import socket

from local_stack import ROOT, SECRET, LocalStack, deploy, end_when_told

DOCKER_BRIDGE = "172.17.0.1"
ENVIRONMENT = ROOT / ".aws-sam/local-environment.json"


def choose_host() -> str:
    """Return the address to listen on."""
    try:
        socket.create_server((DOCKER_BRIDGE, 0)).close()
    except OSError:
        return os.environ.get("BIND_HOST", "127.0.0.1")
    return os.environ.get("BIND_HOST", DOCKER_BRIDGE)


def write_environment(stack: LocalStack) -> None:
    """Write what `sam local invoke` gives the function, see samconfig.toml."""
    here = "host.docker.internal"
    queue = stack.resources["Quarantine"].partition("//")[2].partition("/")[2]
    endpoint = stack.endpoint.replace(stack.host, here)
    receiver = {
        "HYPERLINE_URL": stack.hyperline.url.replace(stack.host, here),
        "QUARANTINE_QUEUE_URL": f"{endpoint}/{queue}",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": endpoint,
        "AWS_ENDPOINT_URL_SQS": endpoint,
    }
    ENVIRONMENT.write_text(json.dumps({"Receiver": receiver}, indent=2))


def describe(stack: LocalStack) -> str:
    """Return what a person needs to call the stack."""
    sample = json.loads((ROOT / "events/track.json").read_text("utf-8"))
    headers = {**sample["headers"], "host": stack.host_header}
    curl = ["curl", "-i", stack.webhook_url]
    for name, value in headers.items():
        curl += ["-H", f"{name}: {value}"]
    return f"""
URL     {stack.webhook_url}
Host    {stack.host_header}
Secret  {json.dumps(SECRET)}

Send events/track.json:
  {shlex.join([*curl, "-d", sample["body"]])}
See what Hyperline holds:
  curl {stack.hyperline.url}/v1/events
Run the function in Lambda's container, in another shell:
  sam local invoke Receiver -e events/track.json

Ctrl-C stops it."""


def main() -> None:
    """Run the stack until somebody stops it."""
    end_when_told()
    with deploy(choose_host()) as stack:
        write_environment(stack)
        print(describe(stack), flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print()
        finally:
            ENVIRONMENT.unlink()


if __name__ == "__main__":
    main()
