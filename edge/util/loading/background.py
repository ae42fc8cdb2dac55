"""A function that runs in a thread of its own beside what the caller does meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """Runs a function in a thread, as a context: its end waits for the thread.

    with Background(load_model) as loading:
        prepare_the_rest()
        model = loading.result()
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._returned: list[T] = []
        self._raised: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    def __enter__(self) -> Background[T]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Also after an error: a thread in native code must not run on while the interpreter ends.
        self._thread.join()

    def result(self) -> T:
        """Wait for the function and return what it returned. Raises what it has raised."""
        self._thread.join()
        if self._raised is not None:
            raise self._raised
        return self._returned[0]

    def _run(self) -> None:
        try:
            self._returned.append(self._function())
        except BaseException as error:
            self._raised = error
