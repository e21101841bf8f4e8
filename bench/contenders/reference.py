"""The reference for arrays: a function that only reads and writes their JSON."""

import json
from typing import Any


def lambda_handler(request: dict[str, Any], _context: object) -> dict[str, Any]:
    """Read the body's JSON, write it, and return 200."""
    json.dumps(json.loads(request["body"]))
    return {"statusCode": 200, "body": ""}
