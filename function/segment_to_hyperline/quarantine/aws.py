"""Send requests to AWS; what fails is explained in one line."""

from collections.abc import Iterator
from typing import Any

from botocore import xform_name
from botocore.parsers import ResponseParserError

from segment_to_hyperline.archive.aws_access import (
    AWS_ERRORS,
    create_client,
    explain_failure,
)
from segment_to_hyperline.archive.files import InputError

_ERRORS = (*AWS_ERRORS, ResponseParserError)


class Aws:
    """AWS in a *region*."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._clients: dict[str, Any] = {}

    def find_endpoint(self, service: str) -> str:
        """Return the URL of *service*."""
        return str(self._find_client(service).meta.endpoint_url)

    def call(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """Return the response to an *operation* such as `ReceiveMessage`.

        Raises `InputError`.
        """
        try:
            request = getattr(self._find_client(service), xform_name(operation))
            response: dict[str, Any] = request(**arguments)
        except _ERRORS as error:
            raise _explain(error, service, operation) from error
        return response

    def list(
        self, service: str, operation: str, key: str, **arguments: Any
    ) -> Iterator[dict[str, Any]]:
        """Yield what all pages of a list have under *key*; raises the same."""
        try:
            pages = self._find_client(service).get_paginator(xform_name(operation))
            for page in pages.paginate(**arguments):
                yield from page.get(key, ())
        except _ERRORS as error:
            raise _explain(error, service, operation) from error

    def _find_client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = create_client(service, self._region)
        return self._clients[service]


def _explain(error: Exception, service: str, operation: str) -> InputError:
    if isinstance(error, ResponseParserError):
        problem = "the response isn't AWS's, but for example a proxy's"
        return InputError(f"{operation}: {problem}: check HTTPS_PROXY and NO_PROXY")
    permission = f"{service}:{operation.removesuffix('Batch')}"
    return InputError(f"{operation}: {explain_failure(error, permission)}")
