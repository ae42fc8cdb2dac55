"""The data loader: prepares augmented batches ahead of the network, in a thread or in forked processes."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
from collections.abc import Iterator, Sequence

from training.fit.batches import Batch, Source

_source: Source | None = None


def _in_worker(task: tuple[Sequence[int], list[int]]) -> Batch:
    assert _source is not None
    return _source.batch(task)


class DataLoader:
    """Prepares batches ahead of the network: in one thread, or in forked processes where a machine has many cores.

    A forked process shares the recordings in memory with its parent; it must be made before the network is.
    """

    def __init__(self, source: Source, workers: int | None = None) -> None:
        global _source  # noqa: PLW0603 - what a fork shares must be reachable without pickling
        cores = os.cpu_count() or 1
        self._source = source
        self._pool = None
        if workers is None:
            workers = 0 if cores <= 4 else min(8, cores - 2)
        if workers > 1 and "fork" in multiprocessing.get_all_start_methods():
            _source = source
            self._pool = multiprocessing.get_context("fork").Pool(workers)

    def batches(self, tasks: Sequence[tuple[Sequence[int], list[int]]]) -> Iterator[Batch]:
        """Yield the batches of the tasks, in order, prepared ahead of time."""
        if self._pool is not None:
            return self._pool.imap(_in_worker, tasks)
        return prefetch(self._source.batch(task) for task in tasks)

    def close(self) -> None:
        """End the worker processes; does nothing for a thread."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()


def prefetch(batches: Iterator[Batch], depth: int = 8) -> Iterator[Batch]:
    """Prepare up to `depth` batches in a thread while the network computes; an error there is raised to the caller."""
    waiting: queue.Queue[Batch | BaseException | None] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: Batch | BaseException | None) -> None:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.5)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for batch in batches:
                put(batch)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="augmentation", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
