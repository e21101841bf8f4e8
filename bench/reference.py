"""Reading a call's JSON and writing it again; the measure for arrays."""

import json
from typing import Any


def lambda_handler(call: dict[str, Any], _context: object) -> dict[str, Any]:
    """Read the body, write it, and answer 200."""
    json.dumps(json.loads(call["body"]))
    return {"statusCode": 200, "body": ""}
