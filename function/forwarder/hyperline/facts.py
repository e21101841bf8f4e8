"""Facts about Hyperline that the code depends on, each with its source."""

# A key works only on the host that belongs to its prefix.
# https://docs.hyperline.co/api-reference/docs/authentication
SANDBOX_KEY_PREFIX = "test_"
# The names of the two environments, each with keys, customers and events of its own.
PRODUCTION, SANDBOX = "production", "sandbox"
HOSTS = {
    "prod_": "https://ingest.hyperline.co",
    SANDBOX_KEY_PREFIX: "https://sandbox.ingest.hyperline.co",
}

# Hosts for reading events. The documentation doesn't name the host of this endpoint.
# Its reads are limited like those of the core API, whose hosts these are.
# https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events
READ_HOSTS = {
    "prod_": "https://api.hyperline.co",
    SANDBOX_KEY_PREFIX: "https://sandbox.api.hyperline.co",
}

# https://docs.hyperline.co/api-reference/endpoints/billable-events/create-billable-event
EVENT_PATH = "/v1/events"
# https://docs.hyperline.co/api-reference/endpoints/billable-events/ingest-billable-events
BATCH_PATH = "/v1/events/batch"
MAX_BATCH_EVENTS = 5_000

# What a property of a record can be, alone or in an array.
# https://docs.hyperline.co/docs/usage/send-usage-data
VALUE_TYPES = frozenset((str, bool, int, float))
