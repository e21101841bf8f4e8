"""Hand-written: what an engineer writes who knows Lambda.

The client, the session and the metrics are created once, the secret is cached, and the
events of an array are posted in one request.
"""

import hashlib
import hmac
import json
import os
from typing import Any

import requests
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="segment")
metrics = Metrics(namespace="Segment", service="segment")
session = requests.Session()


@metrics.log_metrics
@logger.inject_lambda_context
def lambda_handler(request: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Verify the signature and post the track events."""
    secret: Any = parameters.get_secret(
        os.environ["SECRET_ID"], max_age=300, transform="json"
    )
    body = json.loads(request["body"])
    events = body if isinstance(body, list) else [body]

    # Segment signs the first event of an array.
    message = json.dumps(events[0], separators=(",", ":"), ensure_ascii=False)
    key = secret["segment_shared_secret"].encode()
    signature = hmac.new(key, message.encode(), hashlib.sha1).hexdigest()
    if not hmac.compare_digest(signature, request["headers"]["x-signature"]):
        return {"statusCode": 401, "body": "bad signature"}

    billable = [
        {
            "customer_id": event["userId"],
            "event_type": event["event"],
            "timestamp": event["timestamp"],
            "record": {**event["properties"], "id": event["messageId"]},
        }
        for event in events
        if event["type"] == "track"
    ]
    if billable:
        is_single = len(billable) == 1
        response = session.post(
            f"{os.environ['HYPERLINE_URL']}/v1/events{'' if is_single else '/batch'}",
            json=billable[0] if is_single else billable,
            headers={"Authorization": f"Bearer {secret['hyperline_api_key']}"},
            timeout=3,
        )
        response.raise_for_status()
    metrics.add_metric("Billed", MetricUnit.Count, len(billable))
    logger.info("posted", extra={"events": len(billable)})
    return {"statusCode": 200, "body": json.dumps({"events": len(billable)})}
