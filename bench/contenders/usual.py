"""The usual: what most people would write with boto3, requests and Powertools."""

import hashlib
import hmac
import json
import os
from typing import Any

import boto3
import requests
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="segment")


@logger.inject_lambda_context
def lambda_handler(request: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Verify the signature and post each track event."""
    client = boto3.client("secretsmanager")
    stored = client.get_secret_value(SecretId=os.environ["SECRET_ID"])
    secret = json.loads(stored["SecretString"])
    events = json.loads(request["body"])
    if not isinstance(events, list):
        events = [events]

    # Segment signs the first event of an array.
    message = json.dumps(events[0], separators=(",", ":"), ensure_ascii=False)
    key = secret["segment_shared_secret"].encode()
    signature = hmac.new(key, message.encode(), hashlib.sha1).hexdigest()
    if not hmac.compare_digest(signature, request["headers"]["x-signature"]):
        return {"statusCode": 401, "body": "bad signature"}

    for event in events:
        if event["type"] == "track":
            response = requests.post(
                f"{os.environ['HYPERLINE_URL']}/v1/events",
                json={
                    "customer_id": event["userId"],
                    "event_type": event["event"],
                    "timestamp": event["timestamp"],
                    "record": {**event["properties"], "id": event["messageId"]},
                },
                headers={"Authorization": f"Bearer {secret['hyperline_api_key']}"},
                timeout=10,
            )
            response.raise_for_status()
    logger.info("posted", extra={"events": len(events)})
    return {"statusCode": 200, "body": json.dumps({"events": len(events)})}
