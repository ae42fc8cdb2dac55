"""A request over MQTT and its response: pairs what is sent with the answer that names it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Requests(Generic[T]):
    """Matches answers to requests over MQTT, from any thread.

        requests = Requests(client.publish)
        future = requests.send(topic, payload, (node, transaction))  # the receiver calls `answered` with the same key
        future.result(5)  # in a thread; `await asyncio.wrap_future(future)` on an event loop

    `publish` returns None where there is no connection.
    """

    def __init__(self, publish: Callable[[str, bytes], int | None]) -> None:
        self._publish = publish
        self._lock = Lock()
        self._waiting: dict[object, Future[T]] = {}

    def send(self, topic: str, payload: bytes, key: object) -> Future[T]:
        """Publish a request; the answer to `key` becomes the result of the future.

        Cancel the future when its answer is not needed any more. Raises `ConnectionError` without a connection, and
        `ValueError` for a key that is in use.
        """
        future: Future[T] = Future()
        with self._lock:
            if key in self._waiting:
                raise ValueError(f"the request {key!r} is under way already")
            self._waiting[key] = future
        future.add_done_callback(lambda _: self._forget(key))
        if self._publish(topic, payload) is None:
            future.cancel()
            raise ConnectionError("there is no connection to the broker just now")
        return future

    def answered(self, key: object, answer: T) -> bool:
        """Complete the request of this key with its answer; returns False where no request waits for it."""
        with self._lock:
            future = self._waiting.get(key)
        if future is None or not future.set_running_or_notify_cancel():
            return False
        future.set_result(answer)
        return True

    def _forget(self, key: object) -> None:
        with self._lock:
            self._waiting.pop(key, None)
