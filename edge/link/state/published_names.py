"""Under which names we have left retained messages, so that a renamed device can take the old ones away.

One small JSON file in the state directory; written only when something changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from edge.config.settings import Config
from edge.link.state.directories import state_dir
from edge.protocol import TOPICS, announce_topic, topic
from edge.protocol.homeassistant_discovery import discovery_topic
from edge.util.atomic_file import update
from edge.util.errors import reason

log = logging.getLogger(__name__)


class Identity(Struct, frozen=True, forbid_unknown_fields=True):
    """What the names of retained topics are made of."""

    node: str
    base_topic: str
    prefix: str
    """Empty: not announced to Home Assistant."""
    state: bool = False
    """Whether the state was retained."""
    status_topic: str = ""
    """Where Home Assistant says that it has started."""

    def topics(self) -> set[str]:
        """Return all topics on which a device of this identity has retained messages."""
        leaves = [t for t in TOPICS if t.retain or (t.leaf == "state" and self.state)]
        found = {topic(self.base_topic, self.node, leaf) for leaf in leaves}
        return found | ({discovery_topic(self.prefix, self.node)} if self.prefix else set())


def of(config: Config) -> Identity:
    """Return the identity that a configuration describes."""
    announced = config.homeassistant.prefix if config.homeassistant.discovery else ""
    status = config.homeassistant.status_topic if announced else ""
    return Identity(config.node.id, config.node.base_topic, announced, config.state.retain, status)


def left_over(path: Path, now: Identity) -> set[str]:
    """Return the retained topics of the identity before this one that are no longer ours."""
    before = _read(path)
    return set() if before is None else before.topics() - now.topics()


def _path(config: Config) -> Path:
    return state_dir(config) / f"{Path(config.runtime.socket).stem}.identity"


def _read(path: Path) -> Identity | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Identity)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning(
            "[identity_unreadable] %s cannot be read (%s): old retained messages, if any, stay", path, error
        )
        return None


def subscriptions(identity: Identity) -> set[str]:
    """Return the topic filters that a device of this identity subscribes to."""
    own = {topic(identity.base_topic, identity.node, leaf) for leaf in ("cmd/+", "availability")}
    found = own | {announce_topic(identity.base_topic)}
    return found | ({identity.status_topic} if identity.status_topic else set())


def stale_subscriptions(config: Config) -> tuple[str, ...]:
    """Return the filters of the names before, which the broker may still have in our session."""
    before = _read(_path(config))
    return () if before is None else tuple(sorted(subscriptions(before) - subscriptions(of(config))))


def remove_left_over(config: Config, clear: Callable[[str], object]) -> None:
    """Clear what is retained under the names that this device had before, and remember the present ones."""
    path = _path(config)
    if not path.parent.is_dir():
        return  # That it cannot be made was reported at the start.
    now = of(config)
    for name in sorted(left_over(path, now)):
        log.info("[renamed] removing what is retained on %s: this device has another name now", name)
        clear(name)
    remember(path, now)


def remember(path: Path, now: Identity) -> None:
    """Write the present names into the identity file, all or nothing; a failure is only logged."""
    try:
        update(path, msgspec.json.encode(now), 0o644)
    except OSError as error:
        log.warning(
            "[identity_unwritable] %s cannot be written (%s): after a renaming, old retained messages will stay; "
            "let this user write there, or set `runtime.state_dir`",
            path,
            reason(error),
        )
