"""Recipes and settings so small that tuning takes seconds, and data with ordinary speech and a test speaker."""

from pathlib import Path

import soundfile

from tests.support.training.tiny_corpus import corpora
from training.data import splits
from training.export import golden
from training.fit.tuning.settings import Tuning
from training.recipes import recipe

AUGMENT = recipe.Augment(mixup=0.0, households=True)
ENCODER = recipe.Recipe(
    name="tiny", architecture="whisper", layers=1, freeze=1, embedding=16, epochs=0, draws=8, batch=8,
    probe=recipe.Probe(rounds=2, components=16), relative=recipe.Relative(), augment=AUGMENT,
)  # fmt: skip
STUDENT = recipe.Recipe(
    name="tiny-student", architecture="student", embedding=16, epochs=2, draws=8, batch=8,
    student=recipe.Student(width=16, blocks=1, reach=5), distil=recipe.Distil(layers=1),
    probe=recipe.Probe(rounds=2, components=16), relative=recipe.Relative(), augment=AUGMENT,
)  # fmt: skip
HOW = Tuning(
    first_steps=2, first_batch=8, steps=2, seeds=2, households=2, utterances=6, rounds=2, rooms=(0.85, 0.6)
)
HOW_STUDENT = Tuning(
    first_steps=2, first_batch=8, first_rate=2e-3, first_warm_up=0.05, first_decay=0.01, learnt=(1,), steps=2, seeds=2,
    households=2, utterances=6, rounds=2, held=0.1, held_tokens=0.0, taught=1.0, kept=1.0,
)  # fmt: skip


def data_in(root: Path) -> Path:
    """Three fit speakers and one of `calibrate` of each corpus, a test speaker, and ordinary speech."""
    corpora(root, speakers=3)
    actor = min(name for name in splits.load().test if name.startswith("ravdess/")).split("/")[1]
    paths = [root / "ravdess" / f"Actor_{actor}" / f"03-01-05-01-01-01-{actor}.wav"]
    paths += [root / "ordinary" / "reading" / f"{number}.wav" for number in range(8)]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, golden.voice(100 + number, 0.6), 16000)
    return root
