"""The demo's MQTT broker, on 127.0.0.1 only: mosquitto where it is installed, else rumqttd from PyPI (`iotcore`)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from edge.util.errors import UserError
from edge.util.local_ports import find_server

_MOSQUITTO_CONF = """# The demo's broker: 127.0.0.1 only, nothing is stored on disk.
listener {port} 127.0.0.1
allow_anonymous true
persistence false
# After a change of user the kernel would no longer end this process with the demo. (Only read when started as root.)
user root
max_packet_size 16384
log_dest stderr
log_type error
log_type warning
"""


def command(port: int, folder: Path, *, embedded: bool = False) -> tuple[str, list[str]]:
    """Return name and command line of the broker; its configuration file is written to `folder`.

    `embedded`: use rumqttd even if mosquitto is installed. Raises `UserError` when there is no broker.
    """
    mosquitto = None if embedded else find_server("mosquitto")
    if mosquitto is not None:
        conf = folder / "mosquitto.conf"
        conf.write_text(_MOSQUITTO_CONF.format(port=port), encoding="ascii")
        return "mosquitto", [mosquitto, "-c", str(conf)]
    if importlib.util.find_spec("iotcore") is not None:
        # iotcore listens on every interface unless it is told otherwise. At WARNING it logs every subscription, and
        # at ERROR every client that disconnects.
        options = ["--listen", "127.0.0.1", "--port", str(port), "--log-level", "CRITICAL"]
        return "rumqttd (iotcore)", [sys.executable, "-m", "iotcore", *options]
    raise UserError("no MQTT broker: install one with `sudo apt install mosquitto` or `pip install iotcore`")
