"""Post to Hyperline, and return every response that is one of Hyperline's."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import requests

from segment_to_hyperline.reconciliation.api.client import create_key_session
from segment_to_hyperline.reconciliation.api.failures import (
    Failure,
    HyperlineUnavailable,
    explain_error,
    explain_response,
    is_web_page,
)
from segment_to_hyperline.reconciliation.api.pace import Pace

# Connecting, and the response: a large body takes long.
_TIMEOUT_SECONDS = (10, 60)
_MAX_ATTEMPTS = 3
_WAIT_SECONDS = 5.0
_MAX_WAIT_SECONDS = 60.0
_LISTS = ("events_created", "events_accepted")


class Response(NamedTuple):
    """A response to a post."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def is_accepted(self) -> bool:
        """Whether the status means that the post was accepted."""
        return 200 <= self.status < 300

    @property
    def content(self) -> Any:
        """The JSON of the body, or None if it has none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def is_stored(self) -> bool:
        """Whether it says that everything was accepted."""
        return self.is_accepted and not self.count_failed()

    def count_failed(self) -> int:
        """Return how many events are listed as failed."""
        return len(self._list("events_failed"))

    def list_named(self) -> list[str]:
        """Return the record ids of the events that are listed as accepted.

        What isn't as documented names no event.
        """
        named = []
        for event in (event for name in _LISTS for event in self._list(name)):
            match event:
                case {"record": {"id": str(record_id)}}:
                    named.append(record_id)
        return named

    def _list(self, name: str) -> list[Any]:
        content = self.content
        listed = content.get(name) if isinstance(content, dict) else None
        return listed if isinstance(listed, list) else []


class Poster:
    """Posts with an API key, which may lack a scope if *is_limited*."""

    def __init__(self, url: str, key: str, pace: Pace, *, is_limited: bool) -> None:
        self._url = url
        self._session = create_key_session(url, key)
        self._pace = pace
        self._is_limited = is_limited

    def post(self, path: str, body: bytes) -> Response:
        """Return the response, also if it rejects the event.

        Raises `AccessError` if the host or the key can't be used, and
        `HyperlineUnavailable` after three attempts.
        """
        attempt = 0
        while True:
            attempt += 1
            self._pace.wait()
            outcome = self._try(path, body)
            if isinstance(outcome, Response):
                return outcome
            problem = f"{self._url}{path}: {outcome.describe()}"
            if attempt >= min(outcome.most, outcome.most_at_first):
                raise outcome.error(problem)
            if attempt == _MAX_ATTEMPTS:
                raise HyperlineUnavailable(problem)
            wait = max(outcome.retry_after or 0, _WAIT_SECONDS)
            self._pace.pause(min(wait, _MAX_WAIT_SECONDS))

    def _try(self, path: str, body: bytes) -> Response | Failure:
        try:
            response = self._session.post(
                self._url + path,
                body,
                headers={"Content-Type": "application/json"},
                timeout=_TIMEOUT_SECONDS,
                # Another host must not receive the key.
                allow_redirects=False,
            )
        except (OSError, ValueError, TypeError) as error:
            return explain_error(error)
        failure = explain_response(response, "POST", "write billable events")
        if failure and not self._is_answer(response):
            return failure
        return Response(response.status_code, response.content, response.headers)

    def _is_answer(self, response: requests.Response) -> bool:
        """Return whether a failure is one of Hyperline's, about the event or the key.

        That the path doesn't exist, or the body is too large, can be the response of a
        server in front of it.
        """
        status = response.status_code
        if status in {404, 413}:
            return True
        is_about_event = 400 <= status < 500 and status not in {401, 429}
        is_about_key = status == 401 and self._is_limited
        return (is_about_event or is_about_key) and not is_web_page(response)
