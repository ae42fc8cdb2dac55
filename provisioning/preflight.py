"""`python -m provisioning.preflight COMMAND ...`: refuses what `./run` was given before it installs anything for it.

With the standard library alone, as there may be no environment yet. What cannot be looked at so is refused by the
command itself. Prints nothing and ends with 0 where nothing is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from edge.util.errors import UserError
from edge.util.text.terminal import printable
from provisioning.demo import cli as demo
from provisioning.hub import run_options as hub
from training import cli as train


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, or 2 after a line about what is wrong; `argparse` ends the process itself."""
    parser = argparse.ArgumentParser(prog="./run")
    commands = parser.add_subparsers(dest="command", required=True)
    demo.register(commands)
    hub.add_parser(commands, "hub")
    train.register(commands)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        # With the usage of the command, not of `./run`.
        commands.choices[options.command].error(
            f"unrecognized arguments: {' '.join(map(printable, unknown))}"
        )
    checks = {"demo": demo.check, "hub": hub.check_before_installation, "train": train.check}
    try:
        checks[options.command](options)
    except UserError as error:
        print(f"run: {printable(str(error))}", file=sys.stderr)
        return error.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
