"""How `roomtone` is called from the user's shell, for commands that are printed to be typed."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

NAME: Final = "roomtone"


def own_command() -> str:
    """Return `roomtone` where the shell finds this installation by that name, else the path of its program."""
    own = Path(sys.prefix) / "bin" / NAME
    found = shutil.which(NAME)
    if not own.is_file() or (found is not None and Path(found).resolve() == own.resolve()):
        return NAME
    return shlex.quote(str(own))
