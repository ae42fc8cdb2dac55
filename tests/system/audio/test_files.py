"""Reading audio files in a process of its own: memory and standard input."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge.audio.files import RATE


def test_an_hour_is_streamed_in_bounded_memory(tmp_path: Path) -> None:
    """At 48 kHz in two channels, 691 MB as floats: the process may grow by a small part of that."""
    path = tmp_path / "hour.wav"
    with soundfile.SoundFile(path, "w", 48_000, 2, "PCM_16") as file:
        minute = np.zeros((48_000 * 60, 2), np.int16)
        for _ in range(60):
            file.write(minute)
    code = (
        "import resource, sys\n"
        "from edge.audio import files\n"
        "stream = files.read(sys.argv[1]); count = len(next(stream))\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "before = peak(); count += sum(len(part) for part in stream)\n"
        "print(count, peak() - before)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    count, grown_mb = result.stdout.split()
    assert int(count) == 3600 * RATE
    assert float(grown_mb) < 30


@pytest.mark.parametrize("piped", [True, False], ids=["pipe", "redirected"])
def test_standard_input_is_read(tmp_path: Path, piped: bool) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros(2 * RATE, np.int16), RATE)
    code = "from edge.audio import files; print(len(files.load('-')))"
    with path.open("rb") as file:
        source = {"input": file.read()} if piped else {"stdin": file}
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, **source)
    assert int(result.stdout) == 2 * RATE
