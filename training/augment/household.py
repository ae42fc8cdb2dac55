"""Simulated households: clips that share a room, a microphone and voices, and how they sound there.

A device hears people through one room and one microphone. So augmentation varies a household as a whole, and only a
little from one utterance to the next: a baseline over the household then takes out the same as it will at home.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.inference import features
from training.augment import transforms
from training.data.recordings import RATE

Float = NDArray[np.float32]
SIZES = (20, 40, 60)
"""Utterances of one household, about."""
NO_NOISE, COLOURED_NOISE = -1, -2
SHORTEST = 3200
"""Samples to which shorter speech is padded: 0.2 s."""
ROOM_SHARE: Final = 0.55
"""Share of households with a room."""
TOKEN: Final = 2 * features.DEFAULT.hop
"""Samples of one token: 20 ms."""


@dataclass(frozen=True)
class Condition:
    """The acoustic condition that all recordings of a simulated household share."""

    response: int | None
    """Index of an impulse response; None: as recorded."""
    curve_db: NDArray[np.float64]
    """Gain of the microphone at six frequencies, `[6]`."""
    gain_db: float
    noise: int
    """Index of a recording of noise, `NO_NOISE` or `COLOURED_NOISE`."""
    noise_db: float
    """Level of the noise against typical speech of the corpus."""
    codec: int | None
    """Index into `transforms.CODECS`."""


@dataclass(frozen=True)
class Voice:
    """How a speaker's voice is varied in a household: factors of speed and of the mel axis; 1 leaves it as it is."""

    speed: float
    vocal_tract: float


@dataclass(frozen=True)
class Acoustics:
    """The impulse responses and noises to draw from, float32 `[n]` at 16 kHz."""

    responses: Sequence[Float]
    noises: Sequence[Float]


class Dry(NamedTuple):
    """The same stretch and voice without room, noise, codec and microphone, in step with what the household hears."""

    mel: Float
    """Log-mel features, float32 `[frames, 80]`."""
    shift: int
    """Tokens (20 ms) from the first of the household to the first of `mel`; negative where that is earlier."""


def assign(speakers: Sequence[str], corpora: Sequence[str], seed: Sequence[int]) -> NDArray[np.int64]:
    """Deal clips into households of a few speakers of one corpus; returns the household number of each clip, int `[n]`.

    A speaker with many clips lives in several households, with a part of the clips in each.
    """
    homes = np.full(len(speakers), -1, np.int64)
    count = 0
    for number, corpus in enumerate(sorted(set(corpora))):
        random = np.random.default_rng([*seed, 10, number])
        members: dict[str, list[int]] = {}
        for place, (speaker, own) in enumerate(zip(speakers, corpora, strict=True)):
            if own == corpus:
                members.setdefault(speaker, []).append(place)
        pieces: list[NDArray[np.int64]] = []
        for places in members.values():
            order = random.permutation(places)
            pieces += np.array_split(order, max(1, round(len(order) / int(random.choice(SIZES)))))
        held, goal = 0, int(random.choice(SIZES))
        for index in random.permutation(len(pieces)):
            homes[pieces[int(index)]] = count
            held += len(pieces[int(index)])
            if held >= goal:
                count, held, goal = count + 1, 0, int(random.choice(SIZES))
        count += 1
    return homes


def condition(random: np.random.Generator, acoustics: Acoustics, room_share: float = ROOM_SHARE) -> Condition:
    """Draw the acoustic condition of one household at random; `room_share` is the probability of a room."""
    response = None
    if acoustics.responses and random.random() > 1.0 - room_share:
        response = int(random.integers(len(acoustics.responses)))
    draw = random.random()
    noise = NO_NOISE if draw < 0.35 else COLOURED_NOISE
    if draw >= 0.5 and acoustics.noises:
        noise = int(random.integers(len(acoustics.noises)))
    curve = random.uniform(-7.0, 7.0, 6) * (random.random() < 0.7)
    codec = int(random.integers(len(transforms.CODECS))) if random.random() < 0.12 else None
    gain, noise_db = float(random.uniform(-26.0, 4.0)), float(-random.uniform(3.0, 32.0))
    return Condition(response, curve, gain, noise, noise_db, codec)


def voice(seed: Sequence[int], speaker: str) -> Voice:
    """Draw how a speaker's voice is varied in a household; the same seed and speaker give the same voice."""
    random = np.random.default_rng([*seed, zlib.crc32(speaker.encode())])
    speed = 1.0 + random.uniform(-0.15, 0.15) if random.random() < 0.6 else 1.0
    return Voice(speed, 1.0 + random.uniform(-0.1, 0.1) if random.random() < 0.6 else 1.0)


def apply(
    recording: NDArray[np.int16],
    how: Condition,
    voice: Voice,
    *,
    typical_power: float,
    acoustics: Acoustics,
    random: np.random.Generator,
    dry: bool = False,
) -> tuple[Float, Dry | None]:
    """Log-mel features `[frames, 80]` of an int16 recording `[n]` at 16 kHz in a household, of at most 3 s.

    `typical_power`: mean square of typical speech of its corpus. With `dry` the second result is the same speech
    without room, noise, codec and microphone, else None; the first does not depend on it. Both are trimmed to the
    speech, so their lengths may differ.
    """
    piece = original = _stretch(features.to_float(recording), voice, random)
    if how.response is not None:
        response = acoustics.responses[how.response].copy()
        # Another place in the same room: the direct sound is nearer or farther.
        response[:40] *= np.float32(10 ** (random.uniform(-3, 3) / 20))
        piece = transforms.convolve(piece, response)
    if how.noise != NO_NOISE:
        piece = _with_noise(piece, how, typical_power, acoustics, random)
    if how.codec is not None:
        piece = transforms.codec(piece, transforms.CODECS[how.codec])
    piece = np.clip(piece * np.float32(10 ** ((how.gain_db + random.uniform(-3, 3)) / 20)), -1.0, 1.0)
    piece = _recorded(piece, random)
    begin, end = features.speech_bounds(piece)
    mel = _spectrum(piece[begin:end], voice)
    curve = np.interp(np.linspace(0, 5, mel.shape[1]), np.arange(6), how.curve_db / 40.0)
    received = np.maximum(mel + curve.astype(np.float32), mel.min())
    # A child of the generator, so that the numbers which it draws itself stay the same.
    return received, _in_step(_recorded(original, random.spawn(1)[0]), begin, voice) if dry else None


def _in_step(piece: Float, begin: int, voice: Voice) -> Dry:
    """Dry speech, cut at a whole number of tokens from sample `begin`, where what the household hears begins.

    That is at most half a token from where trimming would cut it.
    """
    first, end = features.speech_bounds(piece)
    shift = max(round((first - begin) / TOKEN), -(begin // TOKEN))
    return Dry(_spectrum(piece[begin + shift * TOKEN : end], voice), shift)


def _with_noise(
    piece: Float, how: Condition, typical_power: float, acoustics: Acoustics, random: np.random.Generator
) -> Float:
    coloured = how.noise == COLOURED_NOISE
    noise = (
        transforms.coloured_noise(piece.size, random)
        if coloured
        else transforms.cut(acoustics.noises[how.noise], piece.size, random)
    )
    power = float(np.mean(np.square(noise)))
    if power <= 1e-12:
        return piece
    level = typical_power * 10 ** ((how.noise_db + random.uniform(-2, 2)) / 10)
    result: Float = piece + noise * np.float32(np.sqrt(level / power))
    return result


def _recorded(piece: Float, random: np.random.Generator) -> Float:
    """With the noise of the microphone itself."""
    return (piece + random.normal(0, 4 / 32768, piece.size)).astype(np.float32)


def _spectrum(piece: Float, voice: Voice) -> Float:
    """Log-mel features of a voice."""
    mel = features.log_mel(np.pad(piece, (0, max(0, SHORTEST - piece.size))))
    return transforms.vocal_tract(mel, voice.vocal_tract) if voice.vocal_tract != 1.0 else mel


def _stretch(samples: Float, voice: Voice, random: np.random.Generator) -> Float:
    """A stretch of the speech with some of the silence around it, at the speed of the voice."""
    begin, end = features.speech_bounds(samples)
    margin = RATE // 10
    begin = max(0, begin - int(random.integers(0, 3 * margin)))
    piece = samples[begin : min(samples.size, end + int(random.integers(0, margin)))]
    if voice.speed != 1.0:
        piece = transforms.change_speed(piece, voice.speed)
    length = features.DEFAULT.window_samples
    if random.random() < 0.3:
        length = min(length, int(random.uniform(0.6, 3.0) * RATE))
    if piece.size > length:
        start = int(random.integers(0, piece.size - length + 1))
        piece = piece[start : start + length]
    return piece
