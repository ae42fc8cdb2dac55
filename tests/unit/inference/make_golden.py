"""Makes `log_mel_golden.npz` with librosa: `python tests/unit/inference/make_golden.py`."""

from pathlib import Path

import numpy as np


def reference(samples):
    """Whisper's log-mel by librosa, from float samples."""
    import librosa

    power = librosa.feature.melspectrogram(
        y=samples.astype(np.float64),
        sr=16000,
        n_fft=400,
        hop_length=160,
        n_mels=80,
        center=True,
        pad_mode="reflect",
    )[:, :-1].T
    log = np.log10(np.maximum(power, 1e-10))
    return (np.maximum(log, log.max() - 8.0) + 4.0) / 4.0


def signals():
    """A gliding buzz with pauses, quiet noise, and a loud click in digital silence; int16."""
    random = np.random.default_rng(7)
    time = np.arange(12800) / 16000
    phase = 2 * np.pi * np.cumsum(140 + 60 * np.sin(9 * time)) / 16000
    buzz = sum(np.sin(k * phase) / k for k in range(1, 25)) * np.clip(np.sin(20 * time), 0, 1)
    click = np.zeros(8000)
    click[4000] = 1.0
    return {
        "buzz": np.round(buzz / np.abs(buzz).max() * 20000).astype(np.int16),
        "noise": np.round(random.standard_normal(8001) * 40).astype(np.int16),
        "click": np.round(click * 30000).astype(np.int16),
    }


if __name__ == "__main__":
    arrays = {}
    for name, samples in signals().items():
        arrays[f"{name}_samples"] = samples
        arrays[f"{name}_log_mel"] = reference(samples / 32768.0).astype(np.float32)
    np.savez_compressed(Path(__file__).with_name("log_mel_golden.npz"), **arrays)
