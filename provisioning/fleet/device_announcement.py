"""Announces the devices of a site to Home Assistant, from the names that are enrolled and from nothing else; and takes
away what the broker retains of revoked ones.

A device of a site has no right on the discovery prefix: a stolen one could announce a switch of another room as its
own, or templates and addresses of its choice, which Home Assistant would follow.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge import protocol
from edge.protocol.homeassistant_discovery import AnnouncedDevice, announcement, discovery_topic
from edge.protocol.topics import TOPICS
from provisioning.fleet.site import MODELS, Site


def announcements(site: Site) -> Iterator[tuple[str, bytes]]:
    """Yield topic and payload for every device that was ever enrolled; an empty payload removes a revoked one."""
    updates = (site.folder / MODELS).is_dir()
    current = {one.name for one in site.current()}
    for name in sorted({one.name for one in site.issued if one.role == "device"}):
        device = AnnouncedDevice(base_topic=site.settings.base_topic, id=name, name="", updates=updates)
        payload = announcement(device) if name in current else b""
        yield discovery_topic(site.settings.homeassistant_prefix, name), payload


def removals(site: Site) -> Iterator[tuple[str, bytes]]:
    """Yield each topic that a revoked device may have retained, and the empty payload that removes it.

    A device that is locked out cannot clear them itself, and would stay on the pages of the hub as one that is offline.
    """
    current = {one.name for one in site.current()}
    for name in sorted({one.name for one in site.issued if one.role == "device"} - current):
        for topic in TOPICS:
            if topic.retain:
                yield protocol.topic(site.settings.base_topic, name, topic), b""
