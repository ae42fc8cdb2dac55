"""What a renamed device takes away, also where the connection is cut off in between; the broker is the test's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.config.load import load
from edge.config.settings import Config
from edge.link.state import published_names
from edge.link.state.published_names import FormerNames


class FakeBroker:
    """What is retained; answers as many messages of a connection as `answers` says."""

    def __init__(self) -> None:
        self.retained: set[str] = set()
        self.sent: list[str] = []

    def clear(self, topic: str) -> int | None:
        self.sent.append(topic)
        return len(self.sent)

    def connect(self, config: Config, answers: int = 1000) -> list[str]:
        """A connection of a device that has just started, cut off after so many answers; what was cleared."""
        names, begin = FormerNames(config, self.clear), len(self.sent)
        names.connected()
        self.retained |= published_names.of(config).topics()
        cleared = list(enumerate(self.sent, 1))[begin:]
        for number, topic in cleared[:answers]:
            self.retained.discard(topic)
            assert names.acknowledged(number)
            assert not names.acknowledged(number)
        return [topic for _, topic in cleared]


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


def device(folder: Path, node: str) -> Config:
    return load(overrides={"runtime.socket": str(folder / "link.sock"), "node.id": node})


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_what_was_not_answered_is_cleared_on_the_next_connection(
    tmp_path: Path, broker: FakeBroker, answers: int
) -> None:
    broker.connect(device(tmp_path, "kitchen"))
    first = broker.connect(device(tmp_path, "study"), answers)
    assert len(first) > 3
    assert broker.connect(device(tmp_path, "study")) == first
    assert broker.retained == published_names.of(device(tmp_path, "study")).topics()
    assert broker.connect(device(tmp_path, "study")) == []


def test_who_is_renamed_again_before_the_answer_leaves_nothing_under_either_name(
    tmp_path: Path, broker: FakeBroker
) -> None:
    broker.connect(device(tmp_path, "kitchen"))
    broker.connect(device(tmp_path, "study"), 0)
    broker.connect(device(tmp_path, "attic"), 2)
    broker.connect(device(tmp_path, "attic"))
    assert broker.retained == published_names.of(device(tmp_path, "attic")).topics()


def test_who_is_named_back_before_the_answer_keeps_its_own(tmp_path: Path, broker: FakeBroker) -> None:
    broker.connect(device(tmp_path, "kitchen"))
    broker.connect(device(tmp_path, "study"), 0)
    assert all("study" in topic for topic in broker.connect(device(tmp_path, "kitchen")))
    assert broker.retained == published_names.of(device(tmp_path, "kitchen")).topics()


def test_what_cannot_be_sent_is_sent_on_the_next_connection(tmp_path: Path, broker: FakeBroker) -> None:
    broker.connect(device(tmp_path, "kitchen"))
    FormerNames(device(tmp_path, "study"), lambda _: None).connected()
    assert broker.connect(device(tmp_path, "study"))


def test_names_of_an_unanswered_renaming_are_unsubscribed_and_forgotten_with_the_device(
    tmp_path: Path, broker: FakeBroker
) -> None:
    broker.connect(device(tmp_path, "kitchen"))
    broker.connect(device(tmp_path, "study"), 0)
    now = device(tmp_path, "attic")
    stale = published_names.stale_subscriptions(now)
    assert {"roomtone/kitchen/cmd/+", "roomtone/study/cmd/+"} <= set(stale)
    nodes = {topic.split("/")[1] for topic in published_names.retained(now) if topic.startswith("roomtone/")}
    assert nodes == {"kitchen", "study", "attic"}


def test_the_file_of_an_earlier_version_is_read(tmp_path: Path, broker: FakeBroker) -> None:
    broker.connect(device(tmp_path, "kitchen"))
    (file,) = tmp_path.glob("*.identity")
    file.write_text('{"node":"kitchen","base_topic":"roomtone","prefix":"homeassistant","state":false}')
    assert broker.connect(device(tmp_path, "study"))
    assert "former" not in json.loads(file.read_text())
