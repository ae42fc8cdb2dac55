"""Limits how often a state of the ear is published: an attacker in the ear could send a text in the changes."""

from __future__ import annotations

import asyncio
from typing import Final

from edge.link.delivery.publisher import Publisher
from edge.link.state.throttle import Throttle
from edge.protocol import LevelSignal, MicSignal, ModelInfo
from edge.util.rate_limit import TokenBucket

MIC_PER_SECOND: Final = 0.2
MIC_BURST: Final = 20
INFO_PER_SECOND: Final = 1 / 60
INFO_BURST: Final = 10
SPEECH_PER_SECOND: Final = 0.5
SPEECH_BURST: Final = 20
LEVELS_PER_SECOND: Final = 2.0
LEVELS_BURST: Final = 4


class LimitedPublisher:
    """Publishes states of the ear. One that changes too fast comes late; the last one always comes."""

    def __init__(self, publisher: Publisher, loop: asyncio.AbstractEventLoop) -> None:
        self._publisher = publisher
        self._mic = Throttle(publisher.set_mic, MIC_PER_SECOND, MIC_BURST, loop)
        self._info = Throttle(publisher.set_ear, INFO_PER_SECOND, INFO_BURST, loop)
        self._speech = Throttle(publisher.set_speaking, SPEECH_PER_SECOND, SPEECH_BURST, loop)
        self._levels = TokenBucket(LEVELS_PER_SECOND, LEVELS_BURST, loop.time)

    def set_mic(self, signal: MicSignal) -> None:
        """Publish the state of the microphone."""
        self._mic.set(signal)

    def set_info(self, info: ModelInfo) -> None:
        """Publish what the ear runs."""
        self._info.set(info)

    def set_speaking(self, speaking: bool) -> None:
        """Publish whether there is speech."""
        self._speech.set(speaking)

    def end_speech(self) -> None:
        """Publish at once that there is no speech: without an ear nothing is heard."""
        self._speech.cancel()
        self._publisher.set_speaking(False)

    def publish_level(self, signal: LevelSignal) -> None:
        """Publish the present level; above `LEVELS_PER_SECOND` it is dropped, not delayed."""
        if self._levels.take() == 0.0:
            self._publisher.publish_level(signal)
