"""What `roomtone hub run` prints for people: addresses, the first password in a frame, a code for a phone's camera."""

from __future__ import annotations

import io
import re
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

import segno

from edge.util.text.own_command import own_command
from provisioning.fleet import site as sites
from provisioning.hub import page_authority

_PASSWORD: Final = re.compile(r"log in as `(?P<name>[^`]+)` with the password (?P<password>\S+)")
_ANOTHER: Final = "It is shown only once. To set another: "


@dataclass(frozen=True)
class Hub:
    """How a running hub is reached."""

    folder: Path
    page: str
    """URL of the pages."""
    broker: str
    """URL by which devices reach the broker."""
    lan: bool
    """Whether other machines of the network are let in."""


class FirstPassword:
    """Keeps the dashboard's line with the first password back, so that it is shown in a frame with the addresses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: tuple[str, str] | None = None
        self._another = ""
        """The line with the command that sets another one."""

    def take(self, line: str) -> bool:
        """Keep the password of a line, and what is said of it; return whether the line had that.

        Called on the thread that reads the output.
        """
        found = _PASSWORD.search(line)
        with self._lock:
            if found is not None:
                self._found = (found["name"], found["password"])
            elif line.startswith(_ANOTHER):
                self._another = line.strip()
            else:
                return False
        return True

    def framed(self, page: str) -> str:
        """Return it in a frame, once: empty where there is no new password."""
        with self._lock:
            (found, self._found), another = (self._found, None), self._another
        if found is None:
            return ""
        name, password = found
        lines = [f"first start: log in as `{name}` with the password {password}", f"at {page}", another]
        width = max(map(len, lines))
        edge = "─" * (width + 2)
        return "\n".join([f"┌{edge}┐", *(f"│ {line:<{width}} │" for line in lines), f"└{edge}┘"]) + "\n"


def announce(hub: Hub, first: FirstPassword) -> None:
    """Print the addresses and the next steps on standard output, the password on standard error."""
    print(f"\n  Page    {hub.page}\n  Broker  {hub.broker}", flush=True)
    print(f"  Device  {enrol_command(hub.folder)} kitchen", flush=True)
    if hub.page.startswith("https:"):
        _print_secure(hub)
    else:
        print(
            "  caddy is not installed: only this machine reaches the page. `sudo apt install caddy`",
            flush=True,
        )
    if not hub.lan:
        print("  Only this machine can connect; --lan accepts the network.", flush=True)
    sys.stderr.write(first.framed(hub.page))
    if hub.lan and sys.stderr.isatty():
        sys.stderr.write(qr_code(f"{hub.page}phone", sys.stderr))
    sys.stderr.flush()


def enrol_command(folder: Path) -> str:
    """Return the command that enrols a device, without the name of the device."""
    return f"{own_command()} fleet --site {folder}/site enrol"


def qr_code(text: str, output: TextIO) -> str:
    """Return a QR code in half blocks; empty where the terminal's encoding has none."""
    picture = io.StringIO()
    segno.make(text, error="m").terminal(out=picture, border=2, compact=True)
    try:
        picture.getvalue().encode(output.encoding or "ascii")
    except UnicodeEncodeError:
        return ""
    return f"  Phone   {text}\n{picture.getvalue()}"


def _print_secure(hub: Hub) -> None:
    caddy = hub.folder / "data" / "caddy"
    print(f"  Phone   {hub.page}phone, certificate {page_authority.fingerprint(caddy)}", flush=True)
    if not (hub.folder / "site" / sites.MODELS).exists():
        authority = page_authority.folder_in(caddy) / "root.crt"
        command = f"{own_command()} fleet --site {hub.folder}/site keys init --url {hub.page}updates --ca {authority}"
        print(f"  Models  {command}; then start this again", flush=True)
