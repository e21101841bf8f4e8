"""Groups of items that fit into one request."""

import pytest

from segment_to_hyperline.batching import group_items


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
def test_each_group_has_as_many_items_as_fit(
    sizes: list[int], groups: list[list[int]]
) -> None:
    """No group exceeds a limit, unless it is a single item that is too large."""
    grouped = group_items(sizes, lambda size: size, max_items=3, max_bytes=10)

    assert list(grouped) == groups
