"""Run the commands of the AWS CLI that `client.py` sends to a socket.

It runs in the environment of the AWS CLI, .venv/stack, and imports it once.
"""

import contextlib
import json
import os
import signal
import socket
import sys

from awscli.clidriver import create_clidriver  # type: ignore[import-not-found]


def run(connection: socket.socket) -> int:
    """Run one command with the input, output and environment of the client."""
    request, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    arguments, environment = json.loads(request)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.environ |= environment
    # The AWS CLI, version 1, has an endpoint of its own for SQS.
    endpoint = ["--endpoint-url", environment["AWS_ENDPOINT_URL"]]
    status: int = create_clidriver().main([*endpoint, *arguments])
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def serve(path: str) -> None:
    """Run each command in a process of its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with contextlib.suppress(SystemExit):  # loads what every command needs
        create_clidriver().main(["--version"])
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(16)
    while True:
        connection, _ = server.accept()
        if os.fork() == 0:
            connection.send(bytes([run(connection)]))
            os._exit(0)
        connection.close()


if __name__ == "__main__":
    serve(sys.argv[1])
