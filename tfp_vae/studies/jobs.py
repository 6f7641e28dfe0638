"""Independent pieces of work in several processes, each chain of them in its order."""

import concurrent.futures
import multiprocessing
import os
import signal
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

Item = TypeVar("Item")


def processes(jobs: int, begin: Callable[..., None], *arguments: Any) -> Callable[[], Executor]:
    """Returns a function that starts `jobs` processes, each of which calls `begin(*arguments)`.

    They are new interpreters and no copies of this one: TensorFlow's threads do not survive a copy.
    Where the system can say so, each has cores of its own: what is timed in one does not wait for
    the others, and TensorFlow starts as many threads as it has cores.
    """
    context = multiprocessing.get_context("spawn")

    def start() -> Executor:
        shares = context.SimpleQueue()
        for share in _shares(jobs):
            shares.put(share)
        asked = shares, begin, arguments
        return concurrent.futures.ProcessPoolExecutor(jobs, context, _begun, asked)

    return start


def _shares(jobs: int) -> "list[list[int]]":
    """Returns the cores of each process; none where there are too few, or no such system."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    size = len(cores) // jobs
    return [cores[i * size : (i + 1) * size] for i in range(jobs)]


def _begun(shares: Any, begin: Callable[..., None], arguments: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started them stops them
    cores = shares.get()
    if cores:
        os.sched_setaffinity(0, cores)
    begin(*arguments)


def in_turns(
    items: Sequence[Item],
    chain: Callable[[Item], Hashable],
    do: Callable[[Item], Any],
    jobs: int,
    start: Callable[[], Executor],
) -> "Iterator[tuple[Item, Any]]":
    """Yields (item, what `do` returned or the error of its process) as items are done.

    Args:
        items: pieces of work; earlier ones start earlier.
        chain: items of the same chain are done one after the other, in their order.
        do: picklable, as what it returns; its own errors are its own to catch.
        jobs: how many items are done at once.
        start: see `processes`. A process that dies takes those with it that work at that moment;
            the others go on in new ones.
    """
    waiting, running = list(items), dict[Future, Item]()
    executor, works = start(), False
    try:
        while waiting or running:
            busy = {chain(item) for item in running.values()}
            for item in list(waiting):
                if len(running) == jobs:
                    break
                if chain(item) not in busy:
                    busy.add(chain(item))
                    waiting.remove(item)
                    running[executor.submit(do, item)] = item
            done, _ = concurrent.futures.wait(
                running, return_when=concurrent.futures.FIRST_COMPLETED
            )
            broken = False
            for future in done:
                item, error = running.pop(future), future.exception()
                broken = broken or isinstance(error, BrokenProcessPool)
                works = works or error is None
                yield item, error or future.result()
            if broken:
                executor.shutdown(wait=False, cancel_futures=True)
                for future, item in running.items():
                    yield item, future.exception()
                running.clear()
                if not works:  # nor will other processes
                    for item in waiting:
                        yield item, error
                    return
                executor, works = start(), False
    finally:
        executor.shutdown(wait=not running, cancel_futures=True)
        if running:
            for process in multiprocessing.active_children():
                process.terminate()
