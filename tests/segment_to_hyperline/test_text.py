"""Text for people."""

import pytest

from segment_to_hyperline.text import align_and_wrap, format_count


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 events"), (1, "1 event"), (1_000, "1,000 events")]
)
def test_a_number_agrees_with_its_noun(number: int, text: str) -> None:
    """Only 1 has the singular."""
    assert format_count(number, "event") == text


@pytest.mark.parametrize("name", ["short", "a-long-name-" * 10])
def test_the_last_column_of_a_table_is_wrapped(name: str) -> None:
    """No line is too long, and only the names in the other columns are cut."""
    totals = [f"property-{number} 12,345.67" for number in range(10)]

    lines = align_and_wrap([(name, "x", ", ".join(totals)), ("b", "y", "")], 80)

    assert max(map(len, lines)) <= 80
    assert lines[-1].split() == ["b", "y"]
    shown = " ".join(line[-40 if len(name) > 40 else 0 :] for line in lines[:-1])
    assert all(total in " ".join(shown.split()) for total in totals)


def test_a_table_without_rows_has_no_lines() -> None:
    """There is nothing to align."""
    assert align_and_wrap([], 80) == []
