"""The imports: a function that only imports boto3 and requests, for cold starts."""

from typing import Any

import boto3
import requests

client = boto3.client("secretsmanager")
session = requests.Session()


def lambda_handler(_request: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return 200."""
    return {"statusCode": 200, "body": ""}
