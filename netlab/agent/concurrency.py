"""Many small waits at the same time."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    Item = TypeVar("Item")
    Result = TypeVar("Result")


AT_ONCE = 64
THREAD_STACK_BYTES = 512 * 1024  # a resolver's plug-ins (nsswitch.conf(5)) need some


def concurrently(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Apply a function to each item, up to 64 at once; return the results in the items' order.

    This thread works too, so that something comes out even where no other can be started.
    """
    results: dict[int, Result] = {}
    failures: list[BaseException] = []
    waiting = list(enumerate(items))[::-1]

    def work() -> None:
        while waiting and not failures:
            try:
                index, item = waiting.pop()
            except IndexError:  # another thread was quicker
                return
            try:
                results[index] = function(item)
            except Exception as error:
                failures.append(error)

    threads = []
    threading.stack_size(THREAD_STACK_BYTES)
    for _ in range(min(AT_ONCE, len(items)) - 1):
        thread = threading.Thread(target=work, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # a limit on processes: pids cgroup, RLIMIT_NPROC
            break
        threads.append(thread)
    work()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [results[index] for index in range(len(items))]
