"""Ordinary sentences in the voices of espeak-ng: ordinary speech that no person said; for evaluation only."""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from training.data.corpora.clip import ORDINARY, Clip

log = logging.getLogger(__name__)
SENTENCES: Final = {
    "en": (
        "The post has not come yet.",
        "Turn the light off in the kitchen.",
        "I will be back at half past six.",
    ),
    "de": ("Die Post ist noch nicht da.", "Mach bitte das Licht aus.", "Um halb sieben bin ich wieder da."),
    "fr": ("Le courrier n'est pas encore arrivé.", "Éteins la lumière.", "Je rentre à six heures et demie."),
    "es": ("El correo no ha llegado todavía.", "Apaga la luz de la cocina.", "Vuelvo a las seis y media."),
    "pl": ("Poczta jeszcze nie przyszła.", "Zgaś światło w kuchni.", "Wrócę o wpół do siódmej."),
}
VARIANTS: Final = ("", "+m1", "+m3", "+f1", "+f2", "+f4")


@cache
def clips() -> tuple[Clip, ...]:
    """Synthesise sentences with espeak-ng, and return them as clips; empty where it is not installed.

    The files are deleted when the process ends.
    """
    if shutil.which("espeak-ng") is None:
        log.info("espeak-ng is not installed: no synthetic voices")
        return ()
    folder = _Folder()
    found = []
    for language, sentences in SENTENCES.items():
        for place, variant in enumerate(VARIANTS):
            voice = language + variant
            for number, text in enumerate(sentences):
                path = folder.path / f"{voice.replace('+', '-')}-{number}.wav"
                command = ["espeak-ng", "-v", voice, "-s", str(140 + 10 * place), "-w", str(path), text]
                subprocess.run(command, check=True, capture_output=True)
                found.append(Clip("synthetic", path, f"synthetic/{voice}", ORDINARY))
    return tuple(found)


class _Folder:
    """A temporary folder with the same name in every process of a user, so that results can be cached."""

    def __init__(self) -> None:
        self.path = Path(tempfile.gettempdir()) / "roomtone-synthetic-voices"
        self.path.mkdir(exist_ok=True)
