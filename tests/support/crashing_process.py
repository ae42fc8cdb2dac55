"""A piece of work in a process of its own, which dies without warning at one of its steps."""

import os
import signal
from collections.abc import Callable


def live(work: Callable[[Callable[[str], None]], object], kill_at: int | None) -> list[str]:
    """Does `work`, which tells its steps; the names of those it came to. At step `kill_at` it is killed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        count = 0

        def step(name: str) -> None:
            nonlocal count
            os.write(write, f"{name}\n".encode())
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1

        status = 1
        try:
            work(step)
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as told:
        steps = told.read().splitlines()
    _, status = os.waitpid(pid, 0)
    assert status == 0 if kill_at is None else os.WTERMSIG(status) == signal.SIGKILL
    return steps
