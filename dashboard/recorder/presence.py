"""Which devices are connected: only those are asked to send events again."""

from __future__ import annotations

from collections import OrderedDict

from dashboard.recorder.admission import MAX_DEVICES


class Presence:
    """Whether each device is connected, as it says itself, or by its events where the broker does not send that.

    Any client can publish an availability, also of names that no device has: those of which nothing else is received
    are kept apart, and the oldest of them are dropped. Not thread-safe.
    """

    def __init__(self, limit: int = MAX_DEVICES) -> None:
        self._limit = limit
        self._devices: dict[str, bool | None] = {}
        """Nodes that have published an event or `info`; None: nothing is known of their connection."""
        self._others: OrderedDict[str, bool] = OrderedDict()

    def note_availability(self, node: str, online: bool) -> None:
        """Note what the availability of a node says."""
        if node in self._devices:
            self._devices[node] = online
            return
        self._others[node] = online
        if len(self._others) > self._limit:
            self._others.popitem(last=False)

    def note_info(self, node: str) -> None:
        """Note that a node is a device; its `info` is retained, so that it need not be connected."""
        if node not in self._devices and len(self._devices) < self._limit:
            self._devices[node] = self._others.pop(node, None)

    def note_event(self, node: str) -> None:
        """Note that a node is a device, which is connected unless it says otherwise."""
        self.note_info(node)
        if self._devices.get(node, False) is None:
            self._devices[node] = True

    def is_online(self, node: str) -> bool:
        """Return whether a device is connected; it is not assumed of one of which nothing is known."""
        online = self._devices.get(node)
        return self._others.get(node, False) if online is None else online

    def __len__(self) -> int:
        return len(self._devices) + len(self._others)
