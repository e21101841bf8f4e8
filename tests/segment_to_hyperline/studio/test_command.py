"""The command: how it begins, ends, and survives."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.segment_to_hyperline.studio.conftest import FIVE, MAPPING, to_lines

COMMAND = [sys.executable, "-m", "segment_to_hyperline", "studio"]


@contextmanager
def run(
    mapping: Path, *options: str, **variables: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command, and yield the process and the address that it prints."""
    events = mapping.with_name("events.ndjson")
    events.write_text(to_lines(FIVE), "utf-8")
    with subprocess.Popen(
        [*COMMAND, str(events), "--mapping", str(mapping), *options],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        first, address, last = (process.stdout.readline() for _ in range(3))
        assert (first, last) == (f"5 events, {mapping}\n", "Press Ctrl-C to end.\n")
        (url,) = re.findall(r"^The page is at (http://\S+)\n$", address)
        try:
            yield process, url
        finally:
            process.kill()


def test_it_ends_with_ctrl_c(mapping: Path) -> None:
    """It serves the events of its arguments, and ending it is no failure."""
    with run(mapping, "--no-browser") as (process, url):
        with urlopen(f"{url}events", timeout=10) as response:
            assert json.load(response)["total"] == 5
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)

    assert (process.returncode, errors) == (0, "")


def test_the_page_is_opened_in_the_browser(mapping: Path) -> None:
    """That of the machine, with the address."""
    opened = mapping.with_name("opened")
    os.mkfifo(opened)
    browser = mapping.with_name("browser")
    browser.write_text(f'#!/bin/sh\necho "$1" > "{opened}"\n')
    browser.chmod(0o755)

    with run(mapping, BROWSER=str(browser)) as (_, url):
        assert opened.read_text() == f"{url}\n"


def test_without_a_browser_the_address_can_be_opened(mapping: Path) -> None:
    """A message says so, and the page is served."""
    with run(mapping, BROWSER="false", PATH="/none", DISPLAY="") as (process, url):
        assert process.stderr
        line = process.stderr.readline()
        with urlopen(url, timeout=10) as response:
            assert b"<title>Mapping</title>" in response.read()

    assert line == "No browser was found: open the address in one.\n"


@pytest.mark.parametrize("sent", ["whole", "half"])
def test_a_page_that_no_longer_waits_does_not_end_it(mapping: Path, sent: str) -> None:
    """A browser breaks off a request when something newer was typed."""
    with run(mapping, "--no-browser") as (process, url):
        address = urlsplit(url)
        body = json.dumps({"text": MAPPING, "page": "a", "number": 1})
        head = (
            f"POST {address.path}evaluate HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Origin: http://{address.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        for _ in range(20):
            connection = socket.create_connection(("127.0.0.1", address.port or 0))
            # A reset, as by a browser that closes a tab.
            option = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.setsockopt(*option)
            connection.sendall((head + body[: None if sent == "whole" else 9]).encode())
            connection.close()

        with urlopen(f"{url}state", timeout=10) as response:
            assert json.load(response)["text"] == MAPPING
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)

    assert (process.returncode, errors) == (0, "")
