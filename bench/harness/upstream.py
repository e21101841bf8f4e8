"""The upstream of the contenders: a fast fake of Hyperline and Secrets Manager.

It listens on a free port of the loopback interface, which it prints, until its standard
input ends. `GET /counts` returns the number of requests to Hyperline and of connections
used for them, and resets both.
"""

import asyncio
import json
import sys
from typing import ClassVar

from local_stack.stack import SECRET

_SECRET = {"Name": "secret", "SecretString": json.dumps(SECRET)}
_SECRET_BODY = json.dumps(_SECRET).encode()


class Connection(asyncio.Protocol):
    """One connection; the counts are those of all connections."""

    requests = 0
    used: ClassVar[set[object]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Prepare to receive requests."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Respond to each request that is complete."""
        self._received += data
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            length = _content_length(head)
            if not end or len(rest) < length:
                return
            self._received = rest[length:]
            self._transport.write(self._respond(head, rest[:length]))

    def _respond(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"GET /counts"):
            counts = {"requests": Connection.requests, "connections": len(self.used)}
            Connection.requests = 0
            self.used.clear()
            return _write_response(200, json.dumps(counts).encode())
        if b"secretsmanager." in head:
            return _write_response(200, _SECRET_BODY)
        Connection.requests += 1
        self.used.add(self)
        if b"/batch" in head.partition(b"\r\n")[0]:
            return _write_response(201, _confirm(body))
        return _write_response(202, b"")


def _confirm(body: bytes) -> bytes:
    """Return the response to a batch, which names each event as Hyperline's does."""
    # https://docs.hyperline.co/api-reference/endpoints/billable-events/ingest-billable-events
    return b'{"events_created":%b,"events_failed":[]}' % body


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _write_response(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def main() -> None:
    """Listen until the standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
