"""`roomtone train vad`: Silero's published ONNX file to the TFLite file of the device, checked against the original.

The original is in the wheel `silero-vad` on PyPI (`pip download --no-deps silero-vad`, or `pip install --no-deps`:
it declares torch, which is not needed here). Nothing is written unless the new file agrees with the old one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.audio import files as audiofile
from edge.util import atomic_file
from edge.util.errors import UserError
from training.networks.backend import import_quietly
from training.vad.network import BLOCK, CONTEXT, UNITS, build, read_weights

ONNX_NAME: Final = "silero_vad/data/silero_vad_16k_op15.onnx"
ONNX_SHA256: Final = "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49"
TOLERANCE: Final = 1e-3
"""Largest difference of a probability that is accepted; rounding alone makes about 5e-6."""
OPERATORS: Final = {
    "MIRROR_PAD": 1,
    "RESHAPE": 1,
    "CONV_2D": 1,
    "SQUARE": 1,
    "MUL": 1,
    "ADD": 1,
    "SQRT": 1,
    "FULLY_CONNECTED": 1,
    "STRIDED_SLICE": 1,
    "CONCATENATION": 1,
    "LOGISTIC": 1,
    "TANH": 1,
    "RELU": 1,
}
"""Operators and their highest version, far below what tflite-runtime 2.14 stopped at."""

Float = NDArray[np.float32]


class BuildError(UserError):
    """The voice activity detector cannot be built; the text says why, and what to do."""


def run(options: argparse.Namespace) -> int:
    """Build the TFLite file, compare it with the original, and only then write it; returns the exit status."""
    onnx_bytes, licence = find_source(options.source)
    files = options.check or speech_files()
    signals = [synthetic_speech(), *(audiofile.load(path) for path in files)]
    with tempfile.TemporaryDirectory() as folder:
        onnx_path = Path(folder) / "silero.onnx"
        onnx_path.write_bytes(onnx_bytes)
        model = convert(onnx_path)
        wanted = [original(onnx_path, signal) for signal in signals]
    operators = check_operators(model)
    differences = [float(np.abs(converted(model, s) - w).max()) for s, w in zip(signals, wanted, strict=True)]
    if max(differences) > TOLERANCE:
        raise BuildError(f"differs from the original by up to {max(differences):.2g}: nothing was written")
    write(options.out, model)
    write(options.out.with_suffix(".LICENSE"), licence)
    if options.golden:
        write_golden(options.golden, signals[0], wanted[0])
    result = {
        "out": str(options.out),
        "bytes": len(model),
        "sha256": hashlib.sha256(model).hexdigest(),
        "onnx_sha256": ONNX_SHA256,
        "compared_blocks": int(sum(len(w) for w in wanted)),
        "speech_share": round(float(np.mean(np.concatenate(wanted) > 0.5)), 3),
        "max_difference": max(differences),
        "operators": operators,
    }
    if options.json:
        print(json.dumps(result))
    else:
        print(
            f"{options.out}: {len(model):,} bytes; over {result['compared_blocks']:,} blocks of 32 ms its "
            f"probability differs from the original's by at most {max(differences):.1e}"
        )
    return 0


def find_source(source: Path | None) -> tuple[bytes, bytes]:
    """Return the bytes of the ONNX file and of its licence. Raises `BuildError` where they are missing."""
    for onnx_bytes, licence in _candidates(source):
        if hashlib.sha256(onnx_bytes).hexdigest() != ONNX_SHA256:
            raise BuildError("the ONNX file is another than the one this was written for; use silero-vad 6.2")
        return onnx_bytes, licence
    raise BuildError(
        f"{source or 'silero-vad'}: {ONNX_NAME} not found; `pip install --no-deps silero-vad`, "
        "or give the wheel with --from"
    )


def _candidates(source: Path | None) -> Iterator[tuple[bytes, bytes]]:
    if source is None:
        try:
            files = {str(file): file for file in metadata.files("silero-vad") or ()}
        except metadata.PackageNotFoundError:
            return
        licence = next((file for name, file in files.items() if name.endswith("/LICENSE")), None)
        if ONNX_NAME in files and licence is not None:
            yield files[ONNX_NAME].read_binary(), licence.read_binary()
    elif source.suffix == ".whl" and source.is_file():
        with zipfile.ZipFile(source) as wheel:
            licences = [name for name in wheel.namelist() if name.endswith("/LICENSE")]
            if ONNX_NAME in wheel.namelist() and licences:
                yield wheel.read(ONNX_NAME), wheel.read(licences[0])
    else:
        folder = source.resolve().parents[2] if source.is_file() else source
        licences_here = sorted(folder.glob("silero_vad-*.dist-info/licenses/LICENSE"))
        if (folder / ONNX_NAME).is_file() and licences_here:
            yield (folder / ONNX_NAME).read_bytes(), licences_here[0].read_bytes()


def convert(onnx_path: Path) -> bytes:
    """Convert the ONNX file to TFLite bytes: float32, named inputs and outputs, no operator of a late version."""
    import_quietly("tensorflow")
    import tensorflow as tf

    step = build(read_weights(onnx_path))
    module = tf.Module()
    module.step = step
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=step.get_concrete_function())
        model: bytes = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    return name_tensors(model)


def name_tensors(model: bytes) -> bytes:
    """Rename the inputs and outputs of a TFLite file by its signature; the converter names both outputs alike."""
    from tensorflow.lite.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    signature = parsed.signatureDefs[0]
    for place in (*signature.inputs, *signature.outputs):
        parsed.subgraphs[0].tensors[place.tensorIndex].name = place.name
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))


def check_operators(model: bytes) -> dict[str, int]:
    """Return name and version of every operator. Raises `BuildError` for one that an old runtime may not have."""
    from tensorflow.lite.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    found: dict[str, int] = {}
    for number, code in enumerate(parsed.operatorCodes):
        name = flatbuffer_utils.opcode_to_name(parsed, number)
        found[name] = max(found.get(name, 0), int(code.version))
    late = {name: version for name, version in found.items() if version > OPERATORS.get(name, 0)}
    if late:
        raise BuildError(f"operators that tflite-runtime 2.14 may not have: {late}")
    return found


def _steps(samples: NDArray[np.int16]) -> Iterator[Float]:
    """Blocks with their context, `[1, 576]`, -1..1."""
    count = samples.size // BLOCK
    signal = np.zeros(CONTEXT + count * BLOCK, np.float32)
    signal[CONTEXT:] = samples[: count * BLOCK].astype(np.float32) / 32768.0
    for number in range(count):
        yield signal[None, number * BLOCK : number * BLOCK + CONTEXT + BLOCK]


def original(onnx_path: Path, samples: NDArray[np.int16]) -> Float:
    """Return the speech probabilities of the original network, one per whole block of int16 samples `[n]`."""
    try:
        import onnxruntime
    except ImportError:
        raise BuildError("comparing with the original needs onnxruntime: pip install onnxruntime") from None
    session = onnxruntime.InferenceSession(str(onnx_path), providers=["CPUExecutionProvider"])
    state, rate, result = np.zeros((2, 1, UNITS), np.float32), np.array(16_000, np.int64), []
    for block in _steps(samples):
        output, state = session.run(None, {"input": block, "state": state, "sr": rate})
        result.append(float(output[0, 0]))
    return np.array(result, np.float32)


def converted(model: bytes, samples: NDArray[np.int16]) -> Float:
    """Return the speech probabilities of the TFLite bytes of `convert`, float32 `[blocks]`.

    `samples`: int16 `[n]` at 16 kHz; one probability for each whole block of 512, as from `original`.
    """
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=model, num_threads=1).get_signature_runner()
    state, result = np.zeros((1, 2 * UNITS), np.float32), []
    for block in _steps(samples):
        output = runner(samples=block, state=state)
        state = output["state_next"]
        result.append(float(output["probability"][0, 0]))
    return np.array(result, np.float32)


def speech_files() -> Sequence[Path]:
    """List recordings of speech that a Debian package has. Raises `BuildError` where there is none."""
    folder = Path("/usr/share/pocketsphinx/test/data")
    found = audiofile.find(folder) if folder.is_dir() else []
    if not found:
        raise BuildError("no speech to compare on: apt install pocketsphinx-testdata, or give --check AUDIO")
    return found


def synthetic_speech(seconds: float = 4.0, seed: int = 7) -> NDArray[np.int16]:
    """Generate a synthetic voice, int16 `[n]`: pulses of gliding pitch through gliding formants, in syllables."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16_000)) / 16_000
    pitch = 120 + 25 * np.sin(2 * np.pi * 0.7 * time) + 8 * np.sin(2 * np.pi * 2.3 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / 16_000
    formants = [
        (500 + 200 * np.sin(2 * np.pi * 1.1 * time), 90.0),
        (1500 + 500 * np.sin(2 * np.pi * 0.8 * time), 120.0),
        (2500 + 150 * np.sin(2 * np.pi * 1.7 * time), 160.0),
    ]
    voice = np.zeros_like(time)
    for harmonic in range(1, 36):
        frequency = harmonic * pitch
        gain = sum(1.0 / (1.0 + np.square((frequency - centre) / width)) for centre, width in formants)
        voice += gain / harmonic**0.5 * np.cos(harmonic * phase)
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * time) + 0.4, 0.0, 1.0) * (
        np.sin(2 * np.pi * 0.45 * time) > -0.3
    )
    noise = 0.002 * rng.standard_normal(time.size)
    mixed = 0.3 * voice / np.abs(voice).max() * syllables + noise
    scaled: NDArray[np.int16] = np.rint(32767 * np.clip(mixed, -1.0, 1.0)).astype(np.int16)
    return scaled


def write(path: Path, data: bytes) -> None:
    """Write a file as a whole: under another name, then renamed."""
    atomic_file.write(path, data)


def write_golden(path: Path, samples: NDArray[np.int16], probabilities: Float) -> None:
    """Write the golden file: the synthetic voice, int16 `[n]`, and the original's probabilities, float32 `[blocks]`."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder) / "golden.npz"
        np.savez_compressed(scratch, samples=samples, probabilities=probabilities)
        write(path, scratch.read_bytes())
