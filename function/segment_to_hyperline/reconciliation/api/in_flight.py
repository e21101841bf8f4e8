"""Work on several items at a time, in threads that never delay the end of a command."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from queue import SimpleQueue

from segment_to_hyperline.reconciliation.api.client import MAX_CONNECTIONS

THREAD_NAME = "request in flight"

type _Task[Item, Result] = tuple[Item, Future[Result]]


def work_in_flight[Item, Result](
    work: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with its result, in order, while the next ones are worked on.

    The threads are daemons, unlike those of `ThreadPoolExecutor`: Ctrl-C doesn't wait
    for a response.
    """
    iterator = iter(items)
    tasks: SimpleQueue[_Task[Item, Result] | None] = SimpleQueue()
    running: deque[_Task[Item, Result]] = deque()
    threads = 0
    try:
        while True:
            for item in islice(iterator, MAX_CONNECTIONS - len(running)):
                task = item, Future[Result]()
                running.append(task)
                tasks.put(task)
                if len(running) > threads:
                    threads += 1
                    threading.Thread(
                        target=_run, args=(work, tasks), name=THREAD_NAME, daemon=True
                    ).start()
            if not running:
                return
            item, future = running.popleft()
            yield item, future.result()
    finally:
        for _ in range(threads):
            tasks.put(None)


def _run[Item, Result](
    work: Callable[[Item], Result], tasks: "SimpleQueue[_Task[Item, Result] | None]"
) -> None:
    while task := tasks.get():
        item, future = task
        try:
            future.set_result(work(item))
        except BaseException as error:  # noqa: BLE001 - raised by `result`
            future.set_exception(error)
