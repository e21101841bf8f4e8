"""Send a request to the application, and wait for the response."""

from segment_to_hyperline.reconciliation.api.client import create_session
from segment_to_hyperline.reconciliation.api.failures import explain_error
from segment_to_hyperline.segment.facts import RESPONSE_TIMEOUT_SECONDS
from segment_to_hyperline.sending.responses import NoResponse, Response
from segment_to_hyperline.sending.webhook import Webhook


def post(
    url: str, webhook: Webhook, seconds: float = RESPONSE_TIMEOUT_SECONDS
) -> Response | NoResponse:
    """Send *webhook* to *url* once, and wait for the response, by default as Segment.

    Redirects are not followed.
    """
    try:
        with create_session(url) as session:
            response = session.post(
                url,
                webhook.body.encode(),
                headers=webhook.headers,
                timeout=seconds,
                allow_redirects=False,
            )
            return Response(response.status_code, response.content)
    except (OSError, ValueError, TypeError) as error:
        return NoResponse(explain_error(error).describe())
