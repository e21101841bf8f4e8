"""Text for people."""

import pytest

from segment_to_hyperline.text import format_count


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 events"), (1, "1 event"), (1_000, "1,000 events")]
)
def test_a_number_agrees_with_its_noun(number: int, text: str) -> None:
    """Only 1 has the singular."""
    assert format_count(number, "event") == text
