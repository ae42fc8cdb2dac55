"""Sample inputs from which the ranges of int8 activations are taken: augmented speech of the `fit` speakers, seeded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edge.inference import features
from edge.util.errors import UserError
from training.data.corpora import noise
from training.data.corpora.clip import Clip
from training.data.recordings import Sounds
from training.fit import batches, checkpoint
from training.recipes.recipe import Recipe

COUNT: Final = 300


def write(
    out: Path, recipe: Recipe, clips: Sequence[Clip], data: Path, seed: int, *, count: int = COUNT
) -> None:
    """Write inputs from which a converter takes the ranges of activations: half as recorded, half augmented.

    The file has `features` `[n, frames, 80]` and `mask` `[n, tokens]`. Masking and mixup are left out, as no device
    meets them. Raises `UserError` without clips.
    """
    if not clips:
        raise UserError("no clips to take the ranges of activations from")
    how = msgspec.structs.replace(recipe.augment, frequency_masks=0, time_masks=0, mixup=0.0)
    labels = tuple(sorted({clip.label for clip in clips}))
    sounds = Sounds()
    noises = noise.training_files(data)
    source = batches.Source(clips, labels, sounds, noises, msgspec.structs.replace(recipe, augment=how))
    random = np.random.default_rng([seed, 5])
    chosen = random.permutation(len(clips))[:count]
    mels, masks = [], []
    for place, index in enumerate(chosen.tolist()):
        if place % 2:
            mel, mask = features.pad_features(source.batch(([index], [seed, index, 6])).features[0])
        else:
            speech = features.trim(features.to_float(sounds[clips[index].path]))
            mel, mask = features.network_input(features.windows(speech)[0])
        mels.append(mel[0])
        masks.append(mask[0])
    checkpoint.write_arrays(out, {"features": np.stack(mels), "mask": np.stack(masks)})
