"""Episodes of agitation: a few utterances that are more agitated than is usual in the room.

One utterance is weak evidence; a quarrel is ten. The arousal of the utterances of a room is averaged exponentially, one
step an utterance; an episode starts when the mean reaches `ON` and ends when it falls below `OFF`, or when there was no
speech for `MAX_GAP_S`. The arousal of an event is scaled such that these numbers suit every model: `ON` is reached by
ordinary speech about once in 1,000 utterances (`training/calibrate/relative_head.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

UTTERANCES: Final = 6.0
"""Length of the exponential mean."""
ON: Final = 0.2
OFF: Final = 0.1
"""Both are far below 1, so that what is very agitated counts for more than what is somewhat agitated: decision 30."""
MAX_GAP_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Episode:
    """An episode that has started or ended."""

    ended: bool
    started_s: float
    """Time of the utterance with which it started, on the clock of `Episodes.add`."""
    peak: float
    """Highest mean arousal so far."""


class Episodes:
    """Finds episodes in a stream of utterances; not for several threads at once.

    Example: `change = episodes.add(event.arousal, now)`; `episodes.arousal`; `episodes.agitated`.
    """

    def __init__(self) -> None:
        self._mean: float | None = None
        self._last_s = 0.0
        self._started_s: float | None = None
        self._peak = 0.0

    @property
    def arousal(self) -> float | None:
        """Mean arousal of the last utterances, -1 to 1; None where there was none lately."""
        return self._mean

    @property
    def agitated(self) -> bool:
        """Whether an episode is under way."""
        return self._started_s is not None

    @property
    def under_way(self) -> Episode | None:
        """The episode that is under way."""
        return None if self._started_s is None else Episode(False, self._started_s, self._peak)

    def add(self, arousal: float, now_s: float) -> Episode | None:
        """Add the arousal of an utterance at a time in seconds; returns an episode that starts or ends with it.

        Call `expire` before, or an episode that ended by silence goes on.
        """
        self._last_s = now_s
        before = self._mean or 0.0
        self._mean = before + (arousal - before) / UTTERANCES
        if self._started_s is None:
            if self._mean < ON:
                return None
            self._started_s, self._peak = now_s, self._mean
            return Episode(False, now_s, self._mean)
        self._peak = max(self._peak, self._mean)
        return self._end() if self._mean < OFF else None

    def expire(self, now_s: float) -> Episode | None:
        """Forget the utterances once there was none for `MAX_GAP_S`; return the episode that this ends, else None."""
        if self._mean is None or now_s - self._last_s < MAX_GAP_S:
            return None
        return self.end()

    def end(self) -> Episode | None:
        """Forget the utterances; return the episode that this ends, else None."""
        self._mean = None
        return self._end() if self._started_s is not None else None

    def _end(self) -> Episode:
        assert self._started_s is not None
        found = Episode(True, self._started_s, self._peak)
        self._started_s = None
        return found
