"""Use AWS from an operator's machine: create clients, and explain what fails.

Unlike the clients of the functions, these retry, and use the environment's proxy and
certificates.
"""

import os
import re
from typing import Any

from boto3.session import Session
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

AWS_ERRORS = (BotoCoreError, ClientError)
# So few that what is wrong is reported within seconds.
_ATTEMPTS = 3
_READ_SECONDS = 30
_SIGN_IN = "sign in, for example with `aws sso login`"
_RUN_AGAIN = "run the command again later"

# What an error means, and what to do. An error is that of the first class it is one of.
_ERRORS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (exceptions.NoCredentialsError, exceptions.PartialCredentialsError),
        f"there are no AWS credentials: set AWS_PROFILE, or {_SIGN_IN}",
    ),
    (
        (exceptions.ProfileNotFound,),
        "the AWS profile doesn't exist: check AWS_PROFILE",
    ),
    (
        (
            *(exceptions.TokenRetrievalError, exceptions.CredentialRetrievalError),
            *(exceptions.SSOError, exceptions.LoginError, exceptions.NoAuthTokenError),
        ),
        f"the AWS credentials can't be renewed: {_SIGN_IN}",
    ),
    (
        (exceptions.NoRegionError,),
        "no AWS region is set: use --region or AWS_DEFAULT_REGION",
    ),
    (
        (exceptions.InvalidRegionError, exceptions.UnknownRegionError),
        "the AWS region is invalid: check --region and AWS_DEFAULT_REGION",
    ),
    (
        (exceptions.ProxyConnectionError,),
        "the proxy can't be used: check HTTPS_PROXY and NO_PROXY",
    ),
    (
        (exceptions.SSLError,),
        (
            "the certificate isn't valid: if your network has its own certificates, set"
            " REQUESTS_CA_BUNDLE to their file"
        ),
    ),
    (
        (exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError),
        "AWS can't be reached: check the region, and that this machine can reach it",
    ),
    (
        (
            *(exceptions.HTTPClientError, exceptions.ConnectionError),
            *(exceptions.IncompleteReadError, HTTPError),
        ),
        f"the connection to AWS was lost: {_RUN_AGAIN}",
    ),
    (
        (exceptions.FlexibleChecksumError,),
        "the data is damaged: run the command again",
    ),
)

_INVALID = "AWS rejected the credentials: check AWS_PROFILE and the region"
_EXPIRED = f"the AWS credentials have expired: {_SIGN_IN}"
_BUSY = f"AWS is overloaded: {_RUN_AGAIN}"
# The same for the codes of AWS's responses.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html
_CODES = {
    "InvalidAccessKeyId": _INVALID,
    "InvalidClientTokenId": _INVALID,
    "UnrecognizedClientException": _INVALID,
    "SignatureDoesNotMatch": _INVALID,
    "InvalidSignatureException": _INVALID,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestTimeTooSkewed": "the clock of this machine is wrong: set it",
    "SlowDown": _BUSY,
    "Throttling": _BUSY,
    "ThrottlingException": _BUSY,
}
_DENIED = {"AccessDenied", "AccessDeniedException", "403"}
_PERMISSION = re.compile(r"not authorized to perform: ([\w-]+:\w+)")


def create_client(
    service: str,
    region: str | None = None,
    attempts: int = _ATTEMPTS,
    seconds: float = _READ_SECONDS,
) -> Any:
    """Return a client of *service*, by default in the environment's region.

    It waits for a response for so many *seconds*. Raises one of `AWS_ERRORS` if the
    profile or the region isn't valid.
    """
    config = Config(
        connect_timeout=5,
        read_timeout=seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    # botocore reads HTTPS_PROXY, NO_PROXY, AWS_CA_BUNDLE and REQUESTS_CA_BUNDLE.
    has_bundle = {"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"} & os.environ.keys()
    certificates = None if has_bundle else os.environ.get("SSL_CERT_FILE")
    # A new session, because the default one keeps the credentials that it found first.
    session: Any = Session(region_name=region)
    if session.region_name == "":  # of which botocore would make an invalid host
        raise exceptions.NoRegionError
    return session.client(service, config=config, verify=certificates)


def explain_failure(error: Exception, permission: str) -> str:
    """Return what *error* means and what to do, for people.

    *permission* is the one that the request needs, and for what.
    """
    if isinstance(error, ClientError):
        return _explain_response(error, permission)
    return next(
        (meaning for classes, meaning in _ERRORS if isinstance(error, classes)),
        f"the request to AWS failed: {type(error).__name__}",
    )


def find_code(error: Exception) -> str:
    """Return AWS's code for *error*, or nothing if AWS didn't respond."""
    # Other errors can have a response, too, which is None.
    response: Any = error.response if isinstance(error, ClientError) else {}
    return str(response.get("Error", {}).get("Code", ""))


def is_denied(error: Exception) -> bool:
    """Return whether AWS says that the credentials lack a permission."""
    return find_code(error) in _DENIED


def _explain_response(error: ClientError, permission: str) -> str:
    code = find_code(error)
    if is_denied(error):
        missing = _find_permission(str(error)) or permission
        shown = permission if permission.startswith(missing) else missing
        return f"the AWS credentials lack the permission {shown}"
    return _CODES.get(code) or f"AWS responded with the error {code}"


def _find_permission(message: str) -> str:
    """Return the permission that *message* says is missing; it can be another one."""
    named = _PERMISSION.search(message)
    if named:
        return named[1]
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html
    return "kms:Decrypt" if "Access to KMS is not allowed" in message else ""
