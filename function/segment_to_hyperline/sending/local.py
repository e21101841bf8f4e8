"""How to reach the stack that the command `local` keeps running."""

from segment_to_hyperline.sending.webhook import Signer

# Used by the local stack and events/ instead of real secrets.
SHARED_SECRET = "local-example-secret"  # noqa: S105 - an example
BEARER_TOKEN = "local-example-token"  # noqa: S105 - an example
SIGNER = Signer(SHARED_SECRET, BEARER_TOKEN)

# It is not one of the ports that an operating system gives to clients.
PORT = 8417
PATH = "/segment"


def create_url(port: int = PORT) -> str:
    """Return the URL that the local stack listens on."""
    return f"http://127.0.0.1:{port}{PATH}"
