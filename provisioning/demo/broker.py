"""The demo's MQTT broker, on 127.0.0.1 only: mosquitto where it is installed, else rumqttd from PyPI (`iotcore`)."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Final, NamedTuple

from edge.util.errors import UserError
from edge.util.local_ports import find_server

MOSQUITTO_USER: Final = "mosquitto"
"""Debian's, whom mosquitto runs as where the demo is root's."""
_MOSQUITTO_CONF = """# The demo's broker: 127.0.0.1 only, nothing is stored on disk.
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_packet_size 16384
log_dest stderr
log_type error
log_type warning
"""


class BrokerCommand(NamedTuple):
    """How the broker is run."""

    name: str
    argv: list[str]
    user: str
    """Whom it runs as where the demo is root's: if it changed its user by itself, it would not end with the demo."""


def command(port: int, folder: Path, *, embedded: bool = False) -> BrokerCommand:
    """Return how to run the broker; its configuration file is written to `folder`.

    `embedded`: use rumqttd even if mosquitto is installed. Raises `UserError` when there is no broker.
    """
    mosquitto = None if embedded else find_server("mosquitto")
    if mosquitto is not None:
        conf = folder / "mosquitto.conf"
        conf.write_text(_MOSQUITTO_CONF.format(port=port), encoding="ascii")
        if os.geteuid() == 0:
            # The user of the broker opens a file whose name it knows, and lists nothing.
            folder.chmod(0o711)
            conf.chmod(0o644)
        return BrokerCommand("mosquitto", [mosquitto, "-c", str(conf)], MOSQUITTO_USER)
    if importlib.util.find_spec("iotcore") is not None:
        # iotcore listens on every interface unless it is told otherwise. At WARNING it logs every subscription, and
        # at ERROR every client that disconnects.
        options = ["--listen", "127.0.0.1", "--port", str(port), "--log-level", "CRITICAL"]
        return BrokerCommand("rumqttd (iotcore)", [sys.executable, "-m", "iotcore", *options], "")
    raise UserError("no MQTT broker: install one with `sudo apt install mosquitto` or `pip install iotcore`")
