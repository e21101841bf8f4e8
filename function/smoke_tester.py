"""The SmokeTester: send a test event to a new version of the Receiver.

CodeDeploy invokes it before Segment's requests reach that version.
https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html
"""

import json
import uuid
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from segment_to_hyperline import config
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.secret_cache import read_secret
from segment_to_hyperline.segment.authentication import sign
from segment_to_hyperline.segment.facts import TEST_MESSAGE_ID_PREFIXES

_SECRET_SECONDS = 5

logger = Logger(service="smoke-tester")
lambda_client = boto3.client("lambda")
codedeploy = boto3.client("codedeploy")


def lambda_handler(hook: dict[str, str], _context: LambdaContext) -> None:
    """Report to CodeDeploy whether the new version accepts a signed test event."""
    try:
        passed = check_version(config.receiver_version())
    except Exception as error:  # noqa: BLE001 - without a report, CodeDeploy waits an hour
        logger.error("the test failed", extra={"error": type(error).__name__})  # noqa: TRY400 - the message could contain the secret
        passed = False
    codedeploy.put_lifecycle_event_hook_execution_status(
        deploymentId=hook["DeploymentId"],
        lifecycleEventHookExecutionId=hook["LifecycleEventHookExecutionId"],
        status="Succeeded" if passed else "Failed",
    )


def check_version(arn: str) -> bool:
    """Return whether the Receiver's version *arn* accepts a test event.

    The event is like those of Segment's Event Tester, so it is never billed. The log
    has the response, which contains no data of customers, and warnings about the
    secret. It is no failure if the mapping or Hyperline rejects this event, or if
    Hyperline is down.
    """
    response = lambda_client.invoke(
        FunctionName=arn, Payload=json.dumps(create_request()).encode()
    )
    content = json.loads(response["Payload"].read())
    logger.info("the new version responded", extra={"response": content})
    if not isinstance(content, dict) or content.get("statusCode") != 200:
        return False
    body = json.loads(content["body"])
    for warning in body.get("warnings", ()):
        logger.warning(warning)
    codes = [Code(error["code"]) for error in body["errors"]]
    return not any(code.concerns_every_event for code in codes)


def create_request() -> dict[str, Any]:
    """Return a request as API Gateway passes it, signed with the current secret."""
    secrets, tokens, _ = read_secret(Deadline(_SECRET_SECONDS)).credentials
    event = {
        "type": "track",
        "event": "Smoke Test",
        "messageId": f"{TEST_MESSAGE_ID_PREFIXES[0]}{uuid.uuid4()}",
        "userId": "smoke-test",
        "timestamp": "2026-01-01T00:00:00Z",
        "properties": {},
    }
    body = json.dumps(event)
    headers = {"x-signature": sign(body.encode(), secrets[0])}
    if tokens:
        headers["authorization"] = f"Bearer {tokens[0]}"
    return {"headers": headers, "body": body, "isBase64Encoded": False}
