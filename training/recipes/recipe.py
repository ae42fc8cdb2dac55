"""A recipe: one short TOML file that says how a model is made; unknown keys are refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.util.errors import UserError, reason

ARCHITECTURES = ("whisper", "student")
WHISPER_UNITS: Final = 2048
"""Of the feed-forward part of each block of Whisper base."""
FOLDER = Path(__file__).parents[1] / "recipes"


class Augment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The augmentation of a recipe.

    Shares are probabilities per clip; decibels and factors are drawn uniformly between two bounds.
    """

    gain_db: tuple[float, float] = (-18.0, 6.0)
    speed: float = 0.10
    """Played so much faster or slower at most (pitch moves along)."""
    speed_share: float = 0.7
    noise_share: float = 0.6
    snr_db: tuple[float, float] = (5.0, 30.0)
    recorded_noise_share: float = 0.6
    """Of the noise: recorded noise; the rest is white and brown noise."""
    reverberation_share: float = 0.3
    rt60_s: tuple[float, float] = (0.15, 0.7)
    direct_db: tuple[float, float] = (-3.0, 12.0)
    """Direct sound against echo: from the far end of a room to close to the microphone."""
    rooms: int = 0
    """So many rooms are simulated (`room_simulation.py`), one of them is drawn; 0: decaying noise as `rt60_s` says."""
    overdrive_share: float = 0.0
    overdrive_db: tuple[float, float] = (3.0, 15.0)
    """The loudest moment is so much beyond what the converter can say, and is cut off."""
    codec_share: float = 0.0
    """Through a telephone (mu-law, GSM) or a low rate of Opus or MP3."""
    households: bool = False
    """Vary a simulated household as a whole (`training/augment/household.py`), not each clip by itself."""
    edge_ms: int = 300
    """Up to so much of the recording's silence is kept at each end."""
    vocal_tract: float = 0.0
    """The mel axis is stretched or squeezed by so much at most, as another vocal tract would."""
    equaliser_db: float = 0.0
    """A smooth random curve over frequency of so many decibels at most, as another microphone would."""
    frequency_masks: int = 2
    frequency_mask_mels: int = 14
    time_masks: int = 2
    time_mask_share: float = 0.12
    """Of the clip's length, at most, per mask."""
    mixup: float = 0.4
    """Parameter of the Beta distribution; 0 switches it off."""


class Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of the linear head in closed form on a frozen encoder (`training/fit/closed_form.py`)."""

    rounds: int = 8
    """So often each clip is heard: once clean, then varied as `augment` says."""
    components: int | None = None
    """Principal components that the regression sees; none given: as many as the embedding has numbers."""
    penalty: float = 0.1
    """Half of it times the squared weights is added to the mean loss."""


class Relative(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a head relative to a simulated baseline, with an arousal output (`training/fit/relative.py`)."""

    most_neutral: int = 30
    """Neutral utterances that a simulated baseline has learnt from, at most; drawn with equal odds per octave."""
    prior: float = 5.0
    """Utterances for which the mean of all neutral speech stands in a baseline: in `fit`, `tune` and on the device."""
    absolute_share: float = 0.08
    """Share of examples whose baseline has learnt nothing yet."""
    draws: int = 2
    """Baselines drawn for each utterance and round."""
    ordinary: float = 0.5
    """Weight of all ordinary speech, in units of that of all acted speech."""
    field: float = 0.15
    """The same of `emospeech`, recorded on phones in homes and streets."""
    arousal_penalty: float = 0.1
    """As `Probe.penalty`, for the arousal."""
    ordinary_share: float = 0.07
    """Of ordinary utterances (mean over sources, in a room that is known): how many may be called an emotion."""
    kept_share: float = 0.96
    """Of the neutral utterances of the speakers of `calibrate` in a household: how many are kept at least.

    They try to sound neutral, and most people do not. 0 where no label reached the encoder: out-of-fold predictions of
    the fitting speakers are those of unseen ones then.
    """


class Student(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The size of the small network behind the convolutions of Whisper (`training/networks/small.py`)."""

    width: int = 192
    """Channels of each block."""
    blocks: int = 4
    reach: int = 9
    """Tokens (20 ms each) that a block looks at."""


class Distil(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of distillation, before the student's head is solved (`training/fit/distillation.py`)."""

    layers: int = 2
    """The layer of Whisper whose tokens it learns."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that determines a trained network but the data; `recipes/base.toml` explains each key."""

    name: str
    architecture: str
    layers: int = 3
    merge: int = 1
    """So many neighbouring tokens (20 ms each) are averaged into one before the first block."""
    first_pooled: int = 1
    """The first of the layers whose tokens are pooled; those before it are computed only."""
    feed_forward: int = WHISPER_UNITS
    """Units of the feed-forward part of each block; with fewer than it came with, `tune` removes the others."""
    freeze: int = 0
    """The first so many blocks stay as they came: less to compute, and unseen speakers are recognised no worse."""
    embedding: int = 512
    dropout: float = 0.2
    epochs: int
    draws: int
    """Clips heard in one epoch; never more than there are."""
    batch: int = 16
    head_rate: float = 1e-3
    trunk_rate: float = 1e-4
    train_front: bool = False
    """Whether the two convolutions are trained, too."""
    weight_decay: float = 0.01
    warm_up: float = 0.1
    """Share of all steps."""
    label_smoothing: float = 0.05
    clip_norm: float = 1.0
    average: float = 0.0
    """Decay of the moving average of the weights, which is what is kept; 0: none."""
    probe: Probe | None = None
    """How the head begins; none: with random weights."""
    relative: Relative | None = None
    """Whether the head is relative to a baseline; none: absolute, without ordinary speech and without arousal."""
    augment: Augment = msgspec.field(default_factory=Augment)
    student: Student | None = None
    distil: Distil | None = None
    """Both only for `architecture = "student"`."""

    @property
    def is_frozen(self) -> bool:
        """Whether the encoder keeps its pretrained weights, so that its output for a clip is the same in every run."""
        return self.architecture == "whisper" and self.freeze >= self.layers and self.epochs == 0

    @property
    def wide(self) -> Recipe:
        """The recipe with all the units of the encoder as it came, which is where a narrower one begins."""
        return msgspec.structs.replace(self, feed_forward=WHISPER_UNITS)

    @property
    def last_epoch(self) -> int:
        """The number of the epoch whose weights are the result; a student's head is solved after its last epoch."""
        return self.epochs + 1 if self.distil else self.epochs

    def sha256(self) -> str:
        """Hash all settings; shows whether a checkpoint belongs to this recipe."""
        document = msgspec.to_builtins(self)
        # What a recipe does not use is no part of it: so checkpoints from before these keys still belong to theirs.
        for key, plain in (("first_pooled", 1), ("feed_forward", WHISPER_UNITS)):
            if document[key] == plain:
                del document[key]
        for key in ("student", "distil", "relative"):
            if document[key] is None:
                del document[key]
        return hashlib.sha256(msgspec.json.encode(document)).hexdigest()


def from_document(document: dict[str, Any]) -> Recipe:
    """Read a recipe that was stored with a run or a bundle.

    Keys that were removed since are accepted if they are null.
    """
    return msgspec.convert({key: value for key, value in document.items() if value is not None}, Recipe)


def load(name: str) -> Recipe:
    """Load a shipped recipe by its name, or a TOML file by its path. Raises `UserError`."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        recipe = msgspec.toml.decode(path.read_bytes(), type=Recipe)
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
        raise UserError(f"no recipe {name}: there are {known}, or give a .toml file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {reason(error)}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}") from None
    if recipe.architecture not in ARCHITECTURES:
        raise UserError(
            f"{path}: architecture is one of {', '.join(ARCHITECTURES)}, not {recipe.architecture}"
        )
    if recipe.relative is not None and recipe.probe is None:
        raise UserError(f"{path}: [relative] needs [probe], which solves the head")
    if recipe.architecture == "student" and (recipe.probe is None or recipe.distil is None):
        raise UserError(
            f"{path}: a student needs [distil], which trains it, and [probe], which solves its head"
        )
    if not 1 <= recipe.feed_forward <= WHISPER_UNITS:
        raise UserError(f"{path}: feed_forward is between 1 and {WHISPER_UNITS}, not {recipe.feed_forward}")
    if recipe.architecture == "whisper" and (recipe.student or recipe.distil):
        raise UserError(f'{path}: [student] and [distil] go with architecture = "student" alone')
    return recipe
