"""AWS's list prices, and what we assume of a request.

In US dollars, us-east-1, arm64, without free tiers and discounts.
https://aws.amazon.com/lambda/pricing/ https://aws.amazon.com/api-gateway/pricing/
https://aws.amazon.com/cloudwatch/pricing/ https://aws.amazon.com/sqs/pricing/
https://aws.amazon.com/secrets-manager/pricing/ https://aws.amazon.com/xray/pricing/
"""

PRICES_READ = "November 2026"
LAMBDA_GB_SECOND = 0.0000133334
LAMBDA_REQUEST = 0.20 / 1e6
API_REQUEST = 1.00 / 1e6
"""For each `API_UNIT_BYTES` of a request."""
API_UNIT_BYTES = 512 * 1024
LOG_GB = 0.50
METRIC = 0.30
"""Per month; for the hours in which it is written."""
ALARM = 0.10
"""Per month and metric."""
COMPOSITE_ALARM = 0.50
DASHBOARD = 3.00
SECRET = 0.40
SECRET_REQUEST = 0.05 / 1e4
SQS_REQUEST = 0.40 / 1e6
TRACE = 5.00 / 1e6

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MEMORY_PER_CPU = 1_769
LOG_LINE_BYTES = 26
"""What CloudWatch adds to each line."""
WAIT_MS = 50
"""Assumed: how long a request waits for Hyperline's response."""
EVENT_BYTES = 1_000
SECRET_WAIT_MS = 20
"""Assumed: how long a request waits for Secrets Manager's response."""
SECRET_READS_PER_SECOND = 1 + 1 / 60
"""How often a sandbox reads the secret at most, while signatures are wrong.

The current version once a second, and the previous one once a minute.
"""
# Lambda polls a queue with five connections that wait for up to 20 s.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
POLLS_PER_MONTH = 5 * 3 * 60 * 24 * 30
