"""Groups that fit."""

import pytest

from batching import fill


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([], []),
        ([1], [[1]]),
        ([4, 4, 2, 1], [[4, 4, 2], [1]]),
        ([1, 1, 1, 1], [[1, 1, 1], [1]]),
        ([11, 1], [[11], [1]]),
        ([1, 11, 1], [[1], [11], [1]]),
        ([0, 0, 0, 0], [[0, 0, 0], [0]]),
    ],
)
def test_groups_are_as_full_as_they_can_be(
    sizes: list[int], groups: list[list[int]]
) -> None:
    """Neither the number nor the size of a group is over its limit, if it can be."""
    assert list(fill(sizes, lambda size: size, most=3, limit=10)) == groups
