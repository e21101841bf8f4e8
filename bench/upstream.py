"""What the contenders call: a Hyperline and a Secrets Manager that answer at once.

As a command it listens on a free port of the loopback, which it prints, until its
standard input ends. `GET /counts` tells how often Hyperline was called, over how many
connections, and begins to count anew.
"""

import asyncio
import json
import sys
from typing import ClassVar

SECRET = json.dumps(
    {
        "hyperline_api_key": "test_local_example_key",
        "segment_shared_secret": "local-example-secret",
        "segment_bearer_token": "local-example-token",
    }
)
_SECRET_REPLY = json.dumps({"Name": "secret", "SecretString": SECRET}).encode()


class Upstream(asyncio.Protocol):
    """A connection to it; all connections count together."""

    calls = 0
    users: ClassVar[set[object]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for requests."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """FakeResponse each request that is complete."""
        self._received += data
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            length = _content_length(head)
            if not end or len(rest) < length:
                return
            self._received = rest[length:]
            self._transport.write(self._answer(head))

    def _answer(self, head: bytes) -> bytes:
        if head.startswith(b"GET /counts"):
            counts = {"calls": Upstream.calls, "connections": len(self.users)}
            Upstream.calls = 0
            self.users.clear()
            return _write(200, json.dumps(counts).encode())
        if b"secretsmanager." in head:
            return _write(200, _SECRET_REPLY)
        Upstream.calls += 1
        self.users.add(self)
        if b"/batch" in head.partition(b"\r\n")[0]:
            return _write(201, b'{"events_created":[],"events_failed":[]}')
        return _write(202, b"")


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _write(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def main() -> None:
    """Listen until the standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
