"""A broker for the demo, on loopback only: mosquitto where it is installed, else rumqttd from PyPI."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import sys
from pathlib import Path

from edge.util.errors import UserError

# Debian keeps servers out of an ordinary user's PATH.
_SBIN = "/usr/sbin:/usr/local/sbin"

_MOSQUITTO = """# The demo's broker: loopback only, nothing kept on disk.
listener {port} 127.0.0.1
allow_anonymous true
persistence false
# Changing the user would make the kernel forget that this process has to end with the demo. (Only read when root.)
user root
max_packet_size 4096
log_dest stderr
log_type error
log_type warning
"""


def free_port(preferred: int) -> int:
    """`preferred` if nobody listens there on loopback, else one that the kernel chooses."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UserError("no free port on 127.0.0.1")


def accepts(port: int) -> bool:
    """Whether something takes connections there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return True
    except OSError:
        return False


def find_mosquitto() -> str | None:
    """The path of mosquitto, if it is installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=_SBIN)


def command(port: int, folder: Path, *, embedded: bool = False) -> tuple[str, list[str]]:
    """Name and command line of the broker. Raises `UserError` when there is none."""
    mosquitto = None if embedded else find_mosquitto()
    if mosquitto is not None:
        conf = folder / "mosquitto.conf"
        conf.write_text(_MOSQUITTO.format(port=port), encoding="ascii")
        return "mosquitto", [mosquitto, "-c", str(conf)]
    if importlib.util.find_spec("iotcore") is not None:
        # iotcore listens on every interface unless it is told otherwise.
        listen = ["--listen", "127.0.0.1", "--port", str(port), "--log-level", "WARNING"]
        return "rumqttd (iotcore)", [sys.executable, "-m", "iotcore", *listen]
    raise UserError("no MQTT broker: install one with `sudo apt install mosquitto` or `pip install iotcore`")
