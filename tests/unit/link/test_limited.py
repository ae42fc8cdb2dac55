"""Changes of a state cannot carry a text: they are published no faster than people make them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from edge.config.load import load
from edge.link.delivery import limited
from edge.link.delivery.limited import LimitedPublisher
from edge.link.delivery.publisher import Publisher
from edge.protocol import Episode, LevelSignal, MicSignal
from tests.support.messages import INFO

EPISODE = Episode(event_type="started", started_at="2026-01-01T10:00:00.000Z", peak=0.4, model="base-0.8.2")


class Sent:
    """What the publisher hands to the connection."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []

    def __call__(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: int | None = None
    ) -> int | None:
        self.messages.append((topic.rpartition("/")[2], payload))
        return len(self.messages)

    def of(self, leaf: str) -> list[bytes]:
        return [payload for found, payload in self.messages if found == leaf]


def run(changes: int) -> Sent:
    """Every state changes so many times at once."""
    sent = Sent()

    async def scenario() -> None:
        publisher = LimitedPublisher(Publisher(load(), sent), asyncio.get_running_loop())
        for number in range(changes):
            publisher.set_mic(MicSignal("ok" if number % 2 else "lost"))
            publisher.set_info(msgspec.structs.replace(INFO, vad="silero" if number % 2 else "webrtc"))
            publisher.publish_level(LevelSignal(dbfs=-number % 100 - 100, speech=False))
        await asyncio.sleep(0)

    asyncio.run(scenario())
    return sent


@pytest.mark.parametrize(
    ("leaf", "most"),
    [("mic", limited.MIC_BURST), ("info", limited.INFO_BURST), ("level", limited.LEVELS_BURST)],
)
def test_of_a_hundred_changes_at_once_only_a_few_are_published(leaf: str, most: int) -> None:
    found = run(100).of(leaf)
    assert 0 < len(found) <= most


def test_a_few_changes_are_published_at_once() -> None:
    sent = run(4)
    assert [payload.decode() for payload in sent.of("mic")] == ["lost", "ok", "lost", "ok"]
    assert len(sent.of("info")) == 4


def test_the_reasons_of_a_mute_are_published_in_one_order() -> None:
    sent = Sent()
    publisher = Publisher(load(), sent)
    publisher.set_mic(MicSignal("muted", ("remote", "device", "remote")))
    publisher.set_mic(MicSignal("muted", ("device", "remote", "device")))
    assert sent.of("muted_by") == [b'{"muted_by":["device","remote"]}']


def test_without_an_ear_no_change_of_its_speech_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "SPEECH_PER_SECOND", 20.0)
    sent = Sent()

    async def scenario() -> None:
        published = LimitedPublisher(Publisher(load(), sent), asyncio.get_running_loop())
        for number in range(limited.SPEECH_BURST + 3):
            published.set_speaking(number % 2 == 0)
        published.end_speech()
        await asyncio.sleep(0.2)

    asyncio.run(scenario())
    assert msgspec.json.decode(sent.of("speech")[-1])["speaking"] is False


class Broken(Sent):
    """A connection that is lost and comes back."""

    connected = True

    def __call__(self, topic: str, payload: bytes, **options: object) -> int | None:
        return super().__call__(topic, payload) if self.connected else None


def test_an_end_that_nobody_could_be_told_of_is_published_with_the_next_connection(tmp_path: Path) -> None:
    sent = Broken()
    publisher = Publisher(load(overrides={"runtime.state_dir": str(tmp_path)}), sent)
    publisher.episodes.connected()
    publisher.set_speaking(True)
    publisher.episodes.publish(EPISODE)
    assert publisher.episodes.acknowledged(len(sent.messages))
    sent.connected = False
    publisher.episodes.disconnected()
    publisher.set_speaking(False)
    publisher.episodes.publish(msgspec.structs.replace(EPISODE, event_type="ended"))
    sent.connected = True
    publisher.episodes.connected()
    publisher.publish_all()
    assert publisher.episodes.acknowledged(len(sent.messages))
    publisher.publish_all()
    publisher.publish_speech_again()
    publisher.publish_speech_again()
    assert [msgspec.json.decode(one)["event_type"] for one in sent.of("episode")] == ["started", "ended"]
    published = [msgspec.json.decode(one) for one in sent.of("speech")]
    assert [(one["speaking"], one.get("repeated", False)) for one in published] == [
        (True, False), (False, False), (False, True),
    ]  # fmt: skip
