"""Facts about Hyperline that the code depends on, each with its source."""

# Hosts of the ingestion API. A key works only on the host that belongs to its prefix.
# https://docs.hyperline.co/api-reference/docs/authentication
# https://docs.hyperline.co/api-reference/endpoints/billable-events/ingest-billable-event
SANDBOX_KEY_PREFIX = "test_"
# The names of the two environments, each with keys, customers and events of its own.
PRODUCTION, SANDBOX = "production", "sandbox"
HOSTS = {
    "prod_": "https://ingest.hyperline.co",
    SANDBOX_KEY_PREFIX: "https://sandbox.ingest.hyperline.co",
}

# Hosts of the core API, which has customers and invoices, and no billable events.
# https://docs.hyperline.co/api-reference/endpoints/customers/list-customers
CORE_API_HOSTS = {
    "prod_": "https://api.hyperline.co",
    SANDBOX_KEY_PREFIX: "https://sandbox.api.hyperline.co",
}

# For all requests to the ingestion API together: posts, reads and deletions.
# https://docs.hyperline.co/developers/rate-limiting
MAX_REQUESTS = 1_000
MAX_REQUESTS_SECONDS = 10

# Events are read and deleted here, and posted by commands.
# https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events
# https://docs.hyperline.co/api-reference/endpoints/billable-events/delete-billable-events
EVENT_PATH = "/v1/events"
# The paths for posts of an event and of a batch, by their version. The older copies of
# the pages have v1, the newest ones v2; the parameter IngestionVersion chooses.
# https://docs.hyperline.co/api-reference/endpoints/billable-events/create-billable-event
# https://docs.hyperline.co/api-reference/endpoints/billable-events/ingest-billable-events
POST_PATHS = {
    "v1": (EVENT_PATH, "/v1/events/batch"),
    "v2": ("/v2/events", "/v2/events/batch"),
}
MAX_BATCH_EVENTS = 5_000
# https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events
MAX_PAGE_EVENTS = 100

# What a property of a record can be, alone or in an array.
# https://docs.hyperline.co/docs/usage/send-usage-data
VALUE_TYPES = frozenset((str, bool, int, float))
