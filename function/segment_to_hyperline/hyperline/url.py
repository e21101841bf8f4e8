"""Choose the host that requests are sent to."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from segment_to_hyperline.errors import Error
from segment_to_hyperline.hyperline.facts import (
    CORE_API_HOSTS,
    HOSTS,
    PRODUCTION,
    SANDBOX,
    SANDBOX_KEY_PREFIX,
)

# Hosts on this machine, also as seen from a container of `sam local`. To any other, the
# API key is only sent encrypted.
LOCAL_HOSTS = {
    *("localhost", "127.0.0.1", "0.0.0.0"),  # noqa: S104 - nothing listens on it here
    *("172.17.0.1", "host.docker.internal"),
}
# The parameter HyperlineUrl has the same pattern.
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LOCAL = "|".join(map(re.escape, sorted(LOCAL_HOSTS)))
_URL = re.compile(
    rf"(https://{_LABEL}(\.{_LABEL})*|http://({_LOCAL}))(:(?P<port>[1-9][0-9]{{0,4}}))?/?"
)
_MAX_PORT = 65_535
_NO_HOST = (
    "must be https:// and a host, without a path, query, fragment, credentials or"
    " spaces (http:// is only possible on this machine)"
)


class UrlError(Error):
    """Raised when no host can be chosen; the message says what to set."""


class Endpoint(NamedTuple):
    """Hyperline's host, and the API key for it."""

    url: str
    api_key: str

    @property
    def is_sandbox(self) -> bool:
        """Whether events posted there are billed to nobody."""
        return self.api_key.startswith(SANDBOX_KEY_PREFIX)

    @property
    def environment(self) -> str:
        """The environment that the key belongs to.

        A key with an unknown prefix, which requires `HYPERLINE_URL`, is one of
        production, because it may be that somebody is billed.
        """
        return SANDBOX if self.is_sandbox else PRODUCTION


def choose_url(api_key: str, url: str | None) -> str:
    """Return *url*, or the host that belongs to *api_key*; raises `UrlError`.

    A host is a URL without a path.
    """
    own = _find_own(HOSTS, api_key)
    if url is not None:
        problem = _find_problem(url, own)
        if problem:
            raise UrlError(
                f"HYPERLINE_URL {problem}: write {own or HOSTS['prod_']}, or leave the"
                " parameter HyperlineUrl empty"
            )
        return url.removesuffix("/")
    if own is None:
        raise UrlError(
            "hyperline_api_key begins with neither prod_ nor test_: put a Hyperline API"
            " key into the secret, or set HYPERLINE_URL"
        )
    return own


def choose_core_url(endpoint: Endpoint, url: str | None) -> str | None:
    """Return *url*, or the host of the core API that belongs to *endpoint*.

    That is None if the endpoint isn't one of Hyperline's own hosts: then the key isn't
    sent to another host that nobody chose. Raises `UrlError`.
    """
    own = _find_own(CORE_API_HOSTS, endpoint.api_key)
    if url is None:
        return own if endpoint.url in HOSTS.values() else None
    if not _is_host(url):
        raise UrlError(
            f"HYPERLINE_CORE_URL {_NO_HOST}: write {own or CORE_API_HOSTS['prod_']}"
        )
    host = f"https://{urlsplit(url).hostname}"
    if host in HOSTS.values() or (own != host and host in CORE_API_HOSTS.values()):
        raise UrlError(
            "HYPERLINE_CORE_URL isn't the core API of the API key's environment: write"
            f" {own or CORE_API_HOSTS['prod_']}, or unset it"
        )
    return url.removesuffix("/")


def _find_problem(url: str, own: str | None) -> str | None:
    """Return what is wrong with *url* for a key with the host *own*, or None.

    The URL is not quoted, because it could contain a password or the key.
    """
    if not _is_host(url):
        return _NO_HOST
    host = f"https://{urlsplit(url).hostname}"
    if host in CORE_API_HOSTS.values():
        return "is Hyperline's core API, which has no billable events"
    if own and host in HOSTS.values() and host != own:
        return "belongs to another environment than the API key"
    return None


def _find_own(hosts: Mapping[str, str], api_key: str) -> str | None:
    """Return the one of *hosts* that belongs to a key, by its prefix."""
    return next((h for prefix, h in hosts.items() if api_key.startswith(prefix)), None)


def _is_host(url: str) -> bool:
    found = _URL.fullmatch(url)
    return found is not None and int(found["port"] or 0) <= _MAX_PORT
