"""A TLS server in front of a fake, and a proxy, on loopback ports."""

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

import trustme

from local_stack.fake_api import FakeApi


class Listener:
    """Handles each connection in a thread."""

    def __init__(self, handle: Callable[[socket.socket], None]) -> None:
        self._handle = handle
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Closing it doesn't wake the thread that accepts connections.
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                arguments = (connection,)
                threading.Thread(target=self._run, args=arguments, daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._handle(connection)


class TlsServer(Listener):
    """Passes what it decrypts on to a fake."""

    def __init__(self, api: FakeApi, certificate: trustme.LeafCert) -> None:
        self._api = api
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._context)
        super().__init__(self._decrypt)
        self.url = f"https://localhost:{self.port}"

    def _decrypt(self, connection: socket.socket) -> None:
        with self._context.wrap_socket(connection, server_side=True) as decrypted:
            _relay(decrypted, urlsplit(self._api.url).port or 0)


class Proxy(Listener):
    """A proxy for HTTPS; *status* is its response.

    *ports* has the local ports of other hosts. *requests* has the lines and headers
    that it received.
    """

    def __init__(
        self,
        status: str = "200 Connection established",
        ports: Mapping[str, int] | None = None,
    ) -> None:
        self.requests: list[str] = []
        self._status = status
        self._ports = ports or {}
        super().__init__(self._connect)
        self.url = f"http://127.0.0.1:{self.port}"

    def _connect(self, connection: socket.socket) -> None:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += connection.recv(1)
        self.requests.append(request.decode())
        connection.sendall(f"HTTP/1.1 {self._status}\r\n\r\n".encode())
        if self._status.startswith("200"):
            # CONNECT localhost:443 HTTP/1.1
            host, _, port = request.split()[1].decode().rpartition(":")
            _relay(connection, self._ports.get(host, int(port)))


def _relay(client: socket.socket, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as server:
        arguments = (server, client)
        back = threading.Thread(target=_copy, args=arguments, daemon=True)
        back.start()
        _copy(client, server)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
