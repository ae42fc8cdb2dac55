"""`python -m edge.releases.validation`: one request on standard input, one verdict on standard output.

On a device systemd starts it for each connection to its socket (roomtone-validation.socket), which is both.
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
    """Validate one bundle. The exit status has no meaning; a missing verdict counts as a failed attempt."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    # These limits are for the demo, where no systemd unit sets any; a unit allows no change.
    for which, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, ADDRESS_SPACE),
        (resource.RLIMIT_CPU, CPU_S),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(which, (limit, limit))

    import msgspec

    from edge.releases.validation.messages import MAX_LINE, ValidationRequest, Verdict
    from edge.releases.validation.validator import validate_bundle
    from edge.util.text.patterns import in_words

    try:
        request = msgspec.json.decode(sys.stdin.buffer.readline(MAX_LINE), type=ValidationRequest)
    except msgspec.MsgspecError as error:
        verdict = Verdict(ok=False, reason=f"invalid request: {in_words(error)}")
    else:
        verdict = validate_bundle(request)
    sys.stdout.buffer.write(msgspec.json.encode(verdict) + b"\n")
    sys.stdout.buffer.flush()
    # Without the destructors of a library that has just run an untrusted file.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
