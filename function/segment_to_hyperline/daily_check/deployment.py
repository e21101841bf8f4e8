"""Answer CloudFormation, which says that a version of the Receiver was deployed.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
"""

import json
from collections.abc import Mapping
from typing import Any

import requests

from segment_to_hyperline.daily_check.bucket import ReportBucket
from segment_to_hyperline.daily_check.mappings import store_mapping
from segment_to_hyperline.errors import Error

_TIMEOUT_SECONDS = 10
# The same for all versions: with another id, CloudFormation would delete the old one.
_ID = "mapping"
_REPEATED = "StackId", "RequestId", "LogicalResourceId"


def record_deployment(
    event: Mapping[str, Any], bucket: ReportBucket, now: float
) -> None:
    """Store the mapping, and send the result to CloudFormation, which waits for it."""
    reason = ""
    if event["RequestType"] != "Delete":
        try:
            store_mapping(bucket, now)
        except Exception as error:  # noqa: BLE001 - without an answer, it waits
            reason = _explain(error)
    answer = {name: event[name] for name in _REPEATED} | {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": reason or "The mapping is stored.",
        "PhysicalResourceId": event.get("PhysicalResourceId", _ID),
    }
    # The URL is signed for a request without a content type, which bytes have none of.
    content = json.dumps(answer).encode()
    response = requests.put(event["ResponseURL"], content, timeout=_TIMEOUT_SECONDS)
    response.raise_for_status()


def _explain(error: Exception) -> str:
    problem = str(error) if isinstance(error, Error) else type(error).__name__
    return f"the mapping can't be stored for the daily check: {problem}"
