"""Group things so that each group fits one call of somebody's API."""

from collections.abc import Callable, Iterable, Iterator


def fill[Item](
    items: Iterable[Item], size: Callable[[Item], int], *, most: int, limit: int
) -> Iterator[list[Item]]:
    """Yield *items* in order, in groups of at most *most* and *limit* bytes together.

    An item that is larger than *limit* makes a group of its own.
    """
    group: list[Item] = []
    room = limit
    for item in items:
        length = size(item)
        if group and (len(group) == most or length > room):
            yield group
            group, room = [], limit
        group.append(item)
        room -= length
    if group:
        yield group
