"""A finished run with a relative head on the tiny corpus and two sources of ordinary speech (needs Keras)."""

from pathlib import Path

import pytest
import soundfile

from tests.support.training.tiny_corpus import corpora, encoder
from training.export import golden
from training.fit import inputs, trainer
from training.networks import pretrained
from training.recipes import recipe

RECIPE = recipe.Recipe(
    name="tiny", architecture="whisper", layers=1, freeze=1, embedding=16, epochs=0, draws=8, batch=8,
    probe=recipe.Probe(rounds=2, components=16), relative=recipe.Relative(),
    augment=recipe.Augment(mixup=0.0, households=True),
)  # fmt: skip


def fitted(root: Path) -> tuple[Path, Path]:
    """Make the corpora and the run below `root`; returns the folders of both."""
    data, run = corpora(root / "data", speakers=3), root / "run"
    for source in ("orders", "reading"):
        for number in range(15):
            path = data / "ordinary" / source / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, golden.voice(100 * len(source) + number, 0.6), 16000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained, "SHA256", encoder(data))
        trainer.run(inputs.Job(RECIPE, data, run, 1, quiet=True, workers=0))
    return data, run
