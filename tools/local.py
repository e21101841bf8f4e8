"""Keep the local stack running and print how to call it; Ctrl-C stops it.

BIND_HOST names the address to listen on. A container of `sam local` on Linux reaches
this machine at the address of Docker's bridge, 172.17.0.1, and not at 127.0.0.1.
"""

import json
import os
import shlex
import signal
import sys

from local_stack import ROOT, SECRET, LocalStack, deploy

ENVIRONMENT = ROOT / ".aws-sam/local-environment.json"


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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with deploy(os.environ.get("BIND_HOST", "127.0.0.1")) as stack:
        write_environment(stack)
        print(describe(stack), flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
