"""Group items so that each group fits into one request of an API."""

from collections.abc import Callable, Iterable, Iterator


def group_items[Item](
    items: Iterable[Item],
    size: Callable[[Item], int],
    *,
    max_items: int,
    max_bytes: int,
) -> Iterator[list[Item]]:
    """Yield *items* in order, in groups of at most *max_items* and *max_bytes*.

    *size* returns the bytes of an item. An item larger than *max_bytes* is a group of
    its own.
    """
    group: list[Item] = []
    available = max_bytes
    for item in items:
        length = size(item)
        if group and (len(group) == max_items or length > available):
            yield group
            group, available = [], max_bytes
        group.append(item)
        available -= length
    if group:
        yield group
