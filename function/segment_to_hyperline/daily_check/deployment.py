"""Answer CloudFormation, which says that a version of the Receiver was deployed.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
"""

import json
import time
from collections.abc import Mapping
from typing import Any

import requests

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.daily_check.bucket import ReportBucket
from segment_to_hyperline.daily_check.mappings import store_mapping
from segment_to_hyperline.deadline import Deadline

TIMEOUT_SECONDS = 10
# The permissions of a new role take some seconds to apply.
RETRY_SECONDS = 20
_PAUSE_SECONDS = 2
# The same for all versions: with another id, CloudFormation would delete the old one.
_ID = "mapping"
_REPEATED = "StackId", "RequestId", "LogicalResourceId"


def record_deployment(event: Mapping[str, Any], bucket: ReportBucket) -> None:
    """Store the mapping, and tell CloudFormation, which waits, that it may go on.

    That is so if the mapping can't be stored, too: otherwise no version of the Receiver
    could be deployed. What went wrong is raised afterwards, and the next check stores
    the mapping.
    """
    try:
        if event["RequestType"] != "Delete":
            _store(bucket)
    finally:
        _answer(event)


def _store(bucket: ReportBucket) -> None:
    now = time.time()
    deadline = Deadline(RETRY_SECONDS)
    while True:
        try:
            store_mapping(bucket, now)
        except InputError:
            if deadline.left() < 0:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _answer(event: Mapping[str, Any]) -> None:
    answer = {name: event[name] for name in _REPEATED} | {
        "Status": "SUCCESS",
        "PhysicalResourceId": event.get("PhysicalResourceId", _ID),
    }
    # The URL is signed for a request without a content type, which bytes have none of.
    content = json.dumps(answer).encode()
    response = requests.put(event["ResponseURL"], content, timeout=TIMEOUT_SECONDS)
    response.raise_for_status()
