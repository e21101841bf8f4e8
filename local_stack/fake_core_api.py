"""A fake of Hyperline's core API on a loopback port: what reconciliations read.

It returns what is documented and what was recorded from live responses. Parameters that
an endpoint doesn't know are ignored, so the unfiltered list is returned.
https://github.com/estuary/connectors/tree/main/source-hyperline/bruno
"""

from urllib.parse import parse_qsl, unquote

from local_stack.core_api.lists import Lists
from local_stack.core_api.pages import MAX_OFFSET, MAX_PAGE
from local_stack.fake_api import KEY, FakeApi, FakeResponse, Request, create_message
from local_stack.fake_hyperline import FakeHyperline

__all__ = ["MAX_OFFSET", "MAX_PAGE", "RATE_LIMIT", "FakeCoreApi"]

# https://docs.hyperline.co/developers/rate-limiting
RATE_LIMIT = 200


class FakeCoreApi(Lists, FakeApi):
    """A fake of the core API, which bills the events that *hyperline* has stored."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        key: str = KEY,
        rate_limit: int = RATE_LIMIT,
        hyperline: FakeHyperline | None = None,
    ) -> None:
        Lists.__init__(self, hyperline)
        # The paths that the key may not read, or their beginning up to a slash.
        self.forbidden: set[str] = set()
        FakeApi.__init__(self, host, key, rate_limit)

    def route(self, request: Request) -> FakeResponse:
        """Return the list that *request* asks for."""
        path, _, query = request.path.partition("?")
        path = unquote(path)
        prefixes = tuple(path for path in self.forbidden if path.endswith("/"))
        if path in self.forbidden or path.startswith(prefixes):
            return create_message(403, "Forbidden")
        if request.method != "GET":
            return create_message(404, "Route not found")
        return self.find_list(path, dict(parse_qsl(query, keep_blank_values=True)))
