"""The state of the room, published when it changes and once a minute, and its episodes of agitation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, Protocol

from msgspec import UNSET, structs

from edge.link.state.smoothing import Smoother
from edge.protocol import Episode, Event, State
from edge.util.episodes import Episode as Change
from edge.util.episodes import Episodes
from edge.util.timestamps import from_unix, parse

REPEAT_S: Final = 60.0
RECENT_S: Final = 60.0
"""Age of an utterance from which it says nothing about the room as it is now."""
CONFIDENCE_STEP: Final = 0.1
"""A change of the confidence that is worth a message."""


class EpisodePublisher(Protocol):
    """The interface of what publishes episodes, and knows on disk which one is under way."""

    @property
    def unpublished_end(self) -> Episode | None:
        """At the start, the end of an episode in which the link before was killed."""

    def publish(self, episode: Episode) -> None:
        """Publish the start or end of an episode."""

    def note(self, episode: Episode) -> None:
        """Note how high the peak of the episode that is under way has become."""


class RoomState:
    """`publish` gets every state that is worth a message; `clock` returns monotonic seconds."""

    def __init__(
        self,
        half_life_s: float,
        publish: Callable[[State], None],
        episodes: EpisodePublisher,
        clock: Callable[[], float],
    ) -> None:
        self._smoother = Smoother(half_life_s)
        self._episodes = Episodes()
        self._model = ""
        self._publish = publish
        self._messages = episodes
        self._clock = clock
        self._published: State | None = None
        self._published_at = -math.inf
        self._has_ended = episodes.unpublished_end is not None
        """Whether the state that the broker retains may still say that the room is agitated, though it is not."""
        self._started_at = ""
        """Of the last episode: both messages have the same, though the clock is set or slewed in between."""
        if episodes.unpublished_end is not None:
            # The state that was published last says that the room is agitated, and an ear may never connect again.
            self.set_model(episodes.unpublished_end.model)

    def set_model(self, model: str) -> None:
        """Set the name of the model that the ear runs; from then on the room has a state, `uncertain` at first."""
        self._model = model
        self._smoother.set_model(model)

    def add(self, event: Event) -> None:
        """Add an utterance, unless it is an old one that the ear could not hand over before."""
        now = self._clock()
        if event.clock is UNSET and time.time() - parse(event.started_at).timestamp() > RECENT_S:
            return
        self._smoother.add(event, now)
        self._model = event.model
        self._on_change(self._episodes.expire(now), now)
        if event.arousal is UNSET:
            return
        before = self._episodes.under_way
        self._on_change(self._episodes.add(event.arousal, now), now)
        after = self._episodes.under_way
        if before is not None and after is not None and after.peak > before.peak:
            self._messages.note(self._message(after))

    def update(self, *, anew: bool = False) -> None:
        """Publish the state if it has changed or is due; `anew`: in any case, for subscribers that know nothing."""
        now = self._clock()
        self._on_change(self._episodes.expire(now), now)
        state = self._smoother.state(now, time.time())
        if state is None:
            return
        arousal = self._episodes.arousal
        state = structs.replace(
            state, arousal=None if arousal is None else round(arousal, 3), agitated=self._episodes.agitated
        )
        before = None if anew else self._published
        changed = (
            before is None
            or (before.emotion, before.agitated) != (state.emotion, state.agitated)
            or abs(before.confidence - state.confidence) >= CONFIDENCE_STEP
        )
        if changed or now - self._published_at >= REPEAT_S:
            self._published, self._published_at = state, now
            self._publish(state)

    def expire(self, *, anew: bool = False) -> None:
        """End an episode without speech, and publish that and nothing else: for a room that is not heard.

        `anew`: for subscribers that know nothing, publish a state that is not agitated where an episode has ended.
        """
        now = self._clock()
        change = self._episodes.expire(now)
        self._on_change(change, now)
        if change is not None or (anew and self._has_ended and not self._episodes.agitated):
            self.update(anew=anew)

    def end(self) -> None:
        """End an episode that is under way, as the link stops: no message would say later that it is over."""
        change = self._episodes.end()
        if change is not None:
            self._messages.publish(structs.replace(self._message(change), interrupted=True))
            self.update()

    def _on_change(self, change: Change | None, now: float) -> None:
        if change is not None:
            if change.ended:
                self._has_ended = True
            else:
                self._started_at = from_unix(time.time() - (now - change.started_s))
            self._messages.publish(self._message(change))

    def _message(self, change: Change) -> Episode:
        return Episode(
            event_type="ended" if change.ended else "started",
            started_at=self._started_at,
            peak=round(change.peak, 3),
            model=self._model,
        )
