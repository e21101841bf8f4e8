"""Send requests to AWS; without a permission, what a request reads is unknown."""

import threading
from typing import Any

from botocore import xform_name

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


class Aws:
    """AWS in a region, by default the one of the environment."""

    def __init__(self, region: str | None) -> None:
        self._region = region
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def find_region(self) -> str:
        """Return the region; raises `Unread`."""
        try:
            return str(self._find_client("sts").meta.region_name)
        except AWS_ERRORS as error:
            raise _explain(error, "") from error

    def call(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """Return the response to an *operation* such as `GetQueueAttributes`.

        Raises `Unread`.
        """
        try:
            request = getattr(self._find_client(service), xform_name(operation))
            response: dict[str, Any] = request(**arguments)
        except AWS_ERRORS as error:
            raise _explain(error, f"{service}:{operation}") from error
        return response

    def list(
        self, service: str, operation: str, key: str, **arguments: Any
    ) -> list[dict[str, Any]]:
        """Return what all pages of a list have under *key*; raises the same."""
        try:
            client = self._find_client(service)
            pages = client.get_paginator(xform_name(operation)).paginate(**arguments)
            return [row for page in pages for row in page.get(key, ())]
        except AWS_ERRORS as error:
            raise _explain(error, f"{service}:{operation}") from error

    def _find_client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                self._clients[service] = create_client(
                    service, self._region, _ATTEMPTS, _SECONDS
                )
            return self._clients[service]


def _explain(error: Exception, permission: str) -> Unread:
    evidence, remedy = split(explain_failure(error, permission))
    if is_denied(error):
        return Unread(evidence, "add it, or ask somebody who has it", Result.UNKNOWN)
    return Unread(evidence, remedy, code=find_code(error))
