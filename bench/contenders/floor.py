"""The floor: a function that posts pre-built bytes over a kept-alive connection.

It has no signature, no JSON and no log, and shows what Python and the network cost.
"""

import http.client
import os
from typing import Any
from urllib.parse import urlsplit

BODY = b'{"customer_id":"c","event_type":"e","timestamp":"2026-01-16T09:30:59.243Z",'
BODY += b'"record":{"seats":3,"plan":"team","id":"m-1"}}'
HEADERS = {"Authorization": "Bearer test_local", "Content-Type": "application/json"}

connection = http.client.HTTPConnection(urlsplit(os.environ["HYPERLINE_URL"]).netloc)


def lambda_handler(_request: dict[str, Any], _context: object) -> dict[str, Any]:
    """Post the bytes and return 200."""
    connection.request("POST", "/v1/events", BODY, HEADERS)
    with connection.getresponse() as response:
        response.read()
    return {"statusCode": 200, "body": ""}
