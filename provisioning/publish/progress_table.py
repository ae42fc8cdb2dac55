"""The devices of a push as a live table in a terminal, as plain lines elsewhere, as JSON lines for programs."""

from __future__ import annotations

import sys
from types import TracebackType

import msgspec
from rich.console import Console
from rich.live import Live
from rich.table import Table as RichTable

from provisioning.publish.progress import DeviceState, Rows


class Table:
    """A table of the devices' states at the terminal, updated in place; used as a context manager."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        console = Console(stderr=True)
        self._live = (
            Live(console=console, refresh_per_second=4) if console.is_terminal and not as_json else None
        )
        self._printed: dict[str, str] = {}

    def show(self, rows: Rows) -> None:
        """Show the state of each device; without a live display, print only what has changed."""
        if self._live is not None:
            self._live.update(_table(rows))
            return
        for node, (state, status) in rows.items():
            line = f"{state}{f' {status.update_percentage} %' if status and status.update_percentage else ''}"
            if self._printed.get(node) == line:
                continue
            self._printed[node] = line
            if self._json:
                tree = {"node": node, "state": state, "status": status}
                print(msgspec.json.encode(tree).decode(), flush=True)
            else:
                error = f": {status.error}" if status is not None and status.error else ""
                print(f"  {node:20} {line}{error}", file=sys.stderr, flush=True)

    def __enter__(self) -> Table:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()


def _table(rows: Rows) -> RichTable:
    table = RichTable("node", "state", "model", "progress", "why", box=None)
    colours: dict[DeviceState, str] = {
        "good": "green",
        "refused": "red",
        "rolled back": "red",
        "failing": "red",
        "offline": "yellow",
        "unknown": "yellow",
    }
    for node, (state, status) in rows.items():
        percent = status.update_percentage if status is not None else None
        table.add_row(
            node, f"[{colours.get(state, 'cyan')}]{state}[/]", status.model if status is not None else "",
            "" if percent is None else f"{percent} %", (status.error if status is not None else "")[:80],
        )  # fmt: skip
    return table
