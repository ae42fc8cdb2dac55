"""Under which names we have left retained messages, so that a renamed device can take the old ones away.

One small JSON file in the state directory; written only when something changes. Former names stay in it until the
broker has answered that all of their messages are gone: a connection may be cut off in between.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from edge.config.settings import Config
from edge.link.state.directories import device_file
from edge.protocol import TOPICS, announce_topic, topic
from edge.protocol.homeassistant_discovery import discovery_topic
from edge.util.atomic_file import update
from edge.util.errors import reason
from edge.util.text.patterns import in_words

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


class _Names(Identity, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Content of the file: the names in use, and those before whose messages are not yet known to be gone."""

    former: tuple[Identity, ...] = ()


def left_over(path: Path, now: Identity) -> set[str]:
    """Return the retained topics of the identities before this one that are no longer ours."""
    found: set[str] = set()
    return found.union(*(names.topics() for names in _before(path, now))) - now.topics()


def _path(config: Config) -> Path:
    return device_file(config, "identity")


def _before(path: Path, now: Identity) -> tuple[Identity, ...]:
    """All identities before this one of which messages may be left, the last one first."""
    try:
        read = msgspec.json.decode(path.read_bytes(), type=_Names)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning(
            "[identity_unreadable] %s cannot be read (%s): old retained messages, if any, stay",
            path,
            in_words(error),
        )
        return ()
    last = Identity(read.node, read.base_topic, read.prefix, read.state, read.status_topic)
    return tuple(names for names in dict.fromkeys((last, *read.former)) if names != now)


def subscriptions(identity: Identity) -> set[str]:
    """Return the topic filters that a device of this identity subscribes to."""
    own = {topic(identity.base_topic, identity.node, leaf) for leaf in ("cmd/+", "availability")}
    found = own | {announce_topic(identity.base_topic)}
    return found | ({identity.status_topic} if identity.status_topic else set())


def stale_subscriptions(config: Config) -> tuple[str, ...]:
    """Return the filters of the names before, which the broker may still have in our session."""
    now = of(config)
    found: set[str] = set()
    before = _before(_path(config), now)
    return tuple(sorted(found.union(*(subscriptions(names) for names in before)) - subscriptions(now)))


def retained(config: Config) -> set[str]:
    """Return all topics on which this device may have retained messages, also under former names."""
    now = of(config)
    return now.topics() | left_over(_path(config), now)


@dataclass
class FormerNames:
    """Clears what is retained under the names that this device had before, and forgets them when it is gone.

    Args:
        config: the configuration of the device, which has its present names.
        clear: publishes an empty retained message on a topic; returns its number, None where it cannot be sent.
    """

    config: Config
    clear: Callable[[str], int | None]

    def __post_init__(self) -> None:
        self._waiting: set[int] = set()
        """Numbers of messages that the broker has not answered."""

    def connected(self) -> None:
        """Send all clears; call it before anything is published under the present names."""
        self._waiting.clear()
        path = _path(self.config)
        if not path.parent.is_dir():
            return  # That it cannot be made was reported at the start.
        now = of(self.config)
        topics = sorted(left_over(path, now))
        if not topics:
            remember(path, now)
            return
        # The present names are noted, too: who is renamed again before the answer leaves messages under both.
        noted = remember(path, now, _before(path, now))
        for name in topics:
            log.info("[renamed] removing what is retained on %s: this device has another name now", name)
        numbers = [self.clear(name) for name in topics]
        if noted and None not in numbers:
            self._waiting.update(number for number in numbers if number is not None)

    def acknowledged(self, number: int) -> bool:
        """Handle an answer of the broker, a refusal too; returns False when the number is not one of ours."""
        if number not in self._waiting:
            return False
        self._waiting.remove(number)
        if not self._waiting:
            remember(_path(self.config), of(self.config))
        return True


def remember(path: Path, now: Identity, former: tuple[Identity, ...] = ()) -> bool:
    """Write the names into the identity file, all or nothing; a failure is only logged, and False is returned."""
    names = _Names(now.node, now.base_topic, now.prefix, now.state, now.status_topic, former)
    try:
        update(path, msgspec.json.encode(names), 0o644)
    except OSError as error:
        log.warning(
            "[identity_unwritable] %s cannot be written (%s): after a renaming, old retained messages will stay; "
            "let this user write there, or set `runtime.state_dir`",
            path,
            reason(error),
        )
        return False
    return True
