"""`python -m edge.releases.validation`: one question on standard input, one answer on standard output, and the end.

On a device systemd starts it for each connection to its socket (roomtone-gate.socket), with that as both.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from typing import Final

ADDRESS_SPACE: Final = 4 << 30
CPU_S: Final = 120


def main() -> int:
    """The exit status says nothing; an answer that is missing is one, too."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    # Where no unit sets limits (the demo), these do; where one does, it allows no change.
    for which, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, ADDRESS_SPACE),
        (resource.RLIMIT_CPU, CPU_S),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(which, (most, most))

    import msgspec

    from edge.releases.validation.messages import MAX_LINE, Ask, Verdict
    from edge.releases.validation.validator import try_bundle

    try:
        ask = msgspec.json.decode(sys.stdin.buffer.readline(MAX_LINE), type=Ask)
    except msgspec.MsgspecError as error:
        verdict = Verdict(ok=False, why=f"the question makes no sense: {error}")
    else:
        verdict = try_bundle(ask)
    sys.stdout.buffer.write(msgspec.json.encode(verdict) + b"\n")
    sys.stdout.buffer.flush()
    # Not through the destructors of a library that has just run somebody's file.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
