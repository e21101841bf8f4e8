"""Find the API key of Hyperline, and the hosts for it."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.hyperline.url import Endpoint, UrlError, choose_core_url
from segment_to_hyperline.secret import SecretError, find_endpoint

if TYPE_CHECKING:  # it imports boto3
    from segment_to_hyperline.installed.stack import Stack


class Access(NamedTuple):
    """Where to read, with which key, and where events can be billed."""

    endpoint: Endpoint
    """The ingestion API, which has the billable events."""
    core_url: str | None
    """The host of the core API, which has the customers; None if it isn't known."""
    stack: "Stack | None" = None
    """The stack that was chosen, if any."""


def find_access(secret_id: str, stack: str | None, region: str | None) -> Access:
    """Return the hosts, and the key in HYPERLINE_API_KEY or in the secret.

    *stack* is the name of the stack whose secret and host are used; without one, the
    secret is *secret_id*. HYPERLINE_URL and HYPERLINE_CORE_URL set the hosts. Raises
    `InputError`.
    """
    if region:
        os.environ["AWS_DEFAULT_REGION"] = region
    if stack is None:
        return _create_access(_read_fields(secret_id), None)
    return _find_stack_access(stack, region)


def _find_stack_access(name: str, region: str | None) -> Access:
    # It is slow to import.
    module = import_module("segment_to_hyperline.installed.stack")
    stack: Stack = module.find_stack(name, region)
    os.environ["AWS_DEFAULT_REGION"] = stack.region
    fields = module.read_secret(stack.secret_id, stack.region)
    if key := os.environ.get("HYPERLINE_API_KEY"):
        module.check_environment(key, stack, fields)
        fields = {"hyperline_api_key": key}
    return _create_access(fields, stack)


def _create_access(fields: dict[str, Any], stack: "Stack | None") -> Access:
    url = os.environ.get("HYPERLINE_URL") or (stack and stack.hyperline_url)
    try:
        endpoint = find_endpoint(fields, url)
        core = choose_core_url(endpoint, os.environ.get("HYPERLINE_CORE_URL") or None)
    except (SecretError, UrlError) as error:
        raise InputError(str(error)) from error
    return Access(endpoint, core, stack)


def _read_fields(secret_id: str) -> dict[str, Any]:
    """Return the fields of the secret, or only the key in HYPERLINE_API_KEY."""
    if key := os.environ.get("HYPERLINE_API_KEY"):
        return {"hyperline_api_key": key}
    # It is slow to import, and most users have the key in the environment.
    module = import_module("segment_to_hyperline.installed.stack")
    try:
        fields: dict[str, Any] = module.read_secret(secret_id)
    except InputError as error:
        raise InputError(
            f"no API key: set HYPERLINE_API_KEY, or use --stack; {error}"
        ) from error
    return fields
