"""Facts about Segment: after which statuses it retries."""

import pytest

from segment_to_hyperline.segment.facts import is_retried


@pytest.mark.parametrize("status", [408, 423, 429, 500, 502, 503, 504, 599])
def test_these_statuses_are_retried(status: int) -> None:
    """Segment retries after 5xx, and after three of 4xx."""
    assert is_retried(status)


@pytest.mark.parametrize("status", [200, 201, 301, 400, 401, 403, 404, 422, 501])
def test_other_statuses_are_not_retried(status: int) -> None:
    """Segment drops the event, also after 501."""
    assert not is_retried(status)
