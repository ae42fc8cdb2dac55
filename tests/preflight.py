"""`python -m tests.preflight COMMAND ...`: as `provisioning.preflight`, for `./run bench` and `./run fuzz`.

With the standard library alone, as there may be no environment yet. `argparse` ends the process: with 2 for options
that cannot work, and with 0 after `--help`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.bench import options as bench
from tests.fuzz import options as fuzz


def main(arguments: Sequence[str]) -> int:
    """Return 0 where the options are right."""
    match list(arguments):
        case ["bench", "hub", *rest]:
            bench.hub().parse_args(rest)
        case ["bench", "arm", *rest]:
            bench.arm().parse_args(rest)
        case ["bench", *rest]:
            bench.ear().parse_args(rest)
        case ["fuzz", *rest]:
            fuzz.parser().parse_args(rest)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
