"""Which responses to a post are answers, and which are failures."""

import pytest

from local_stack.fake_api import KEY, Ending, FakeResponse
from segment_to_hyperline.doctor.probe.poster import Poster
from segment_to_hyperline.reconciliation.api.failures import (
    AccessError,
    HyperlineUnavailable,
)
from segment_to_hyperline.reconciliation.api.pace import Pace
from tests.clock import Clock
from tests.segment_to_hyperline.doctor.probe.conftest import FakeSandbox

HTML = {"Content-Type": "text/html"}


def create(url: str, *, is_limited: bool = False) -> Poster:
    """Return a poster that doesn't pause between requests."""
    return Poster(url, KEY, Pace(rate=1_000_000), is_limited=is_limited)


@pytest.mark.parametrize(
    ("response", "is_limited"),
    [
        *((FakeResponse(status, b"{}"), False) for status in (200, 202, 204)),
        *((FakeResponse(status, b"{}"), False) for status in (400, 403, 404, 422)),
        (FakeResponse(401, b"{}"), True),
        *(
            (FakeResponse(status, b"<html>", headers=HTML), False)
            for status in (404, 413)
        ),
    ],
)
def test_an_answer_is_returned(
    hyperline: FakeSandbox, response: FakeResponse, *, is_limited: bool
) -> None:
    """A server in front of Hyperline can reject a path, or a large body."""
    hyperline.respond(response)

    posted = create(hyperline.url, is_limited=is_limited).post("/v1/events", b"{}")

    assert (posted.status, posted.is_accepted) == (
        response.status,
        response.status < 300,
    )


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (FakeResponse(401, b"{}"), "rejected the API key"),
        (FakeResponse(403, b"<html>", headers=HTML), "a web page"),
        (FakeResponse(302, b"", headers={"Location": "/v2"}), "the status 302"),
    ],
)
def test_a_failure_that_stays_is_not_retried(
    hyperline: FakeSandbox, response: FakeResponse, problem: str
) -> None:
    """The message says what to check; redirects are not followed."""
    hyperline.respond(response)

    with pytest.raises(AccessError, match=problem):
        create(hyperline.url).post("/v1/events", b"{}")

    assert len(hyperline.requests) == 1


def test_a_failure_that_passes_is_retried(hyperline: FakeSandbox, clock: Clock) -> None:
    """After as many seconds as Hyperline asks for, up to a minute."""
    hyperline.respond(
        FakeResponse(429, headers={"Retry-After": "7"}),
        FakeResponse(429, headers={"Retry-After": "1000"}),
        FakeResponse(202, b""),
    )

    assert create(hyperline.url).post("/v1/events", b"{}").is_accepted
    assert [round(pause) for pause in clock.pauses if pause > 1] == [7, 60]


def test_three_attempts_are_made(hyperline: FakeSandbox) -> None:
    """More would take too long."""
    hyperline.respond(*[FakeResponse(ending=Ending.RESET)] * 3)

    with pytest.raises(HyperlineUnavailable, match="the connection was lost"):
        create(hyperline.url).post("/v1/events", b"{}")

    assert len(hyperline.requests) == 3


def test_a_host_that_does_not_listen_is_an_error(hyperline: FakeSandbox) -> None:
    """No attempt can succeed."""
    hyperline.close()

    with pytest.raises(AccessError, match="the connection is refused"):
        create(hyperline.url).post("/v1/events", b"{}")
