"""Send requests to AWS; without a permission, what a request reads is unknown."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore import xform_name
from botocore.parsers import ResponseParserError

from segment_to_hyperline.archive.aws_access import (
    AWS_ERRORS,
    create_client,
    explain_failure,
    find_code,
    is_denied,
)
from segment_to_hyperline.doctor.findings import Result, Unread, split

# Fewer and shorter than for other commands: doctor reads many things.
_ATTEMPTS = 2
_SECONDS = 10
# What botocore raises if it can't read a response.
# https://github.com/boto/botocore/blob/develop/botocore/parsers.py
_UNREADABLE = (ResponseParserError, KeyError, TypeError, ValueError)


class Aws:
    """AWS in a region, by default the one of the environment."""

    def __init__(self, region: str | None) -> None:
        self._region = region
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def find_region(self) -> str:
        """Return the region; raises `Unread`."""
        with _explain_errors(""):
            return str(self._find_client("sts").meta.region_name)

    def call(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """Return the response to an *operation* such as `GetQueueAttributes`.

        Raises `Unread`.
        """
        with _explain_errors(f"{service}:{operation}"):
            request = getattr(self._find_client(service), xform_name(operation))
            response: dict[str, Any] = request(**arguments)
        return response

    def list(
        self, service: str, operation: str, key: str, **arguments: Any
    ) -> list[dict[str, Any]]:
        """Return what all pages of a list have under *key*; raises the same."""
        with _explain_errors(f"{service}:{operation}"):
            client = self._find_client(service)
            pages = client.get_paginator(xform_name(operation)).paginate(**arguments)
            return [row for page in pages for row in page[key]]

    def _find_client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                self._clients[service] = create_client(
                    service, self._region, _ATTEMPTS, _SECONDS
                )
            return self._clients[service]


@contextmanager
def _explain_errors(permission: str) -> Iterator[None]:
    """Raise `Unread` instead of botocore's errors."""
    try:
        yield
    except AWS_ERRORS as error:
        raise _explain(error, permission) from error
    except _UNREADABLE as error:
        raise Unread(
            "the response isn't AWS's, but for example a proxy's",
            "check HTTPS_PROXY and NO_PROXY, and sign in to the network",
        ) from error


def _explain(error: Exception, permission: str) -> Unread:
    evidence, remedy = split(explain_failure(error, permission))
    if is_denied(error):
        return Unread(evidence, "add it, or ask somebody who has it", Result.UNKNOWN)
    return Unread(evidence, remedy, code=find_code(error))
