"""A tiny corpus in RAVDESS's and nEMO's layouts, made of synthetic voices, and a random encoder."""

import hashlib
from pathlib import Path

import numpy as np
import soundfile

from training.data import splits
from training.export import golden


def corpora(root: Path, speakers: int = 2) -> Path:
    """Two fit speakers and one calibration speaker of each corpus, two clips of each label."""
    split = splits.load()
    seed = 0
    for corpus in split.corpora:
        names = sorted(s for s in split.fit if s.startswith(corpus))[:speakers]
        names += sorted(s for s in split.calibrate if s.startswith(corpus))[:1]
        rows = ["file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"]
        for speaker in (name.split("/")[1] for name in names):
            for code in range(1, 9):
                seed += 1
                if corpus == "ravdess":
                    path = root / "ravdess" / f"Actor_{speaker}" / f"03-01-{code:02d}-01-01-01-{speaker}.wav"
                else:
                    words = ("anger", "fear", "happiness", "neutral", "sadness", "surprised")
                    if code > len(words):
                        continue
                    name = f"{speaker}_{words[code - 1]}_1.wav"
                    path = root / "nemo" / "samples" / name
                    rows.append(f"{name}\t{words[code - 1]}\ta\ta\t{speaker}\tmale\t30")
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, golden.voice(seed, 0.6), 16000)
        if corpus == "nemo":
            (root / "nemo" / "data.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def encoder(root: Path) -> str:
    """Random arrays of the encoder's names and shapes (one layer); returns the file's sha256."""
    random = np.random.default_rng(0)

    def array(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.02).astype(np.float16)

    shapes = {
        "conv1.weight": (512, 80, 3), "conv1.bias": (512,), "conv2.weight": (512, 512, 3), "conv2.bias": (512,),
        "position_encodings.encodings": (1500, 512),
        "layer_0.attention.qkv.weight": (1536, 512), "layer_0.attention.qkv.bias": (1536,),
        "layer_0.attention.out.weight": (512, 512), "layer_0.attention.out.bias": (512,),
        "layer_0.ffn.up.weight": (2048, 512), "layer_0.ffn.up.bias": (2048,),
        "layer_0.ffn.down.weight": (512, 2048), "layer_0.ffn.down.bias": (512,),
    }  # fmt: skip
    arrays = {name: array(*shape) for name, shape in shapes.items()}
    for norm in ("attention.norm", "ffn.norm"):
        arrays[f"layer_0.{norm}.gamma"] = np.ones(512, np.float16)
        arrays[f"layer_0.{norm}.beta"] = np.zeros(512, np.float16)
    path = root / "whisper-base-encoder.npz"
    np.savez(path, **arrays)
    return hashlib.sha256(path.read_bytes()).hexdigest()
