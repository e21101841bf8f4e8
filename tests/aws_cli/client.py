"""The command `aws` of the tests: sends its arguments to `server.py`."""

import json
import os
import socket
import sys

if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[1])
        request = json.dumps([sys.argv[2:], dict(os.environ)]).encode()
        socket.send_fds(connection, [request], [0, 1, 2])
        sys.exit(ord(connection.recv(1) or b"\1"))
