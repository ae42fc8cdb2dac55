"""What the broker says about itself, below `$SYS`: mosquitto and those that follow it. Others say nothing."""

from __future__ import annotations

from typing import Final

ROOT: Final = "$SYS/broker/"
TOPICS: Final = {
    "clients/connected": "clients",
    "load/messages/received/1min": "received_per_min",
    "load/messages/sent/1min": "sent_per_min",
    "publish/messages/dropped": "dropped",
    "retained messages/count": "retained",
    "store/messages/count": "stored",
    "uptime": "uptime_s",
}
"""Topic below `ROOT`, and the name of the figure."""
VERSION: Final = "version"
MAX_BYTES: Final = 100


class BrokerFigures:
    """Not thread-safe: filled on the client's thread, and read as a whole."""

    def __init__(self) -> None:
        self.version = ""
        self._values: dict[str, float] = {}

    def topics(self) -> list[str]:
        """Return the topics to subscribe to."""
        return [ROOT + name for name in (*TOPICS, VERSION)]

    def add(self, topic: str, payload: bytes) -> None:
        """Keep a figure; what is none is ignored."""
        name = topic.removeprefix(ROOT)
        text = payload[:MAX_BYTES].decode("utf-8", "replace")
        if name == VERSION:
            self.version = "".join(character for character in text if character.isprintable())
        elif name in TOPICS:
            try:
                # An uptime is "86400 seconds".
                self._values[TOPICS[name]] = float(text.split()[0])
            except (ValueError, IndexError):
                return

    def values(self) -> dict[str, float]:
        """Return all figures by name."""
        return dict(self._values)
