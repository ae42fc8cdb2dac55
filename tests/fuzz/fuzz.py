"""`./run fuzz`: runs atheris on each target, as `tests.fuzz.options` describes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.options import TARGETS, parser

ROOT = Path(__file__).resolve().parents[2]
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def seeds() -> dict[str, list[bytes]]:
    """Good inputs, from which the fuzzer begins."""
    from edge.protocol import InfoReport, LevelSignal, MicSignal, encode
    from tests.support.messages import EAR_INFO, utterance

    upward = (
        utterance(1),
        InfoReport(EAR_INFO, "0" * 16, 1),
        MicSignal("ok"),
        LevelSignal(dbfs=-30, speech=True),
    )
    return {
        "intake": [encode(message) for message in upward],
        "command": [
            b'{"transaction": "1"}',
            b'{"transaction":"1","boot":"7f3a9c01","from_seq":3,"to_seq":9,"sent_at":"2026-01-01T10:00:00.000Z"}',
        ],
        "configuration": [
            b'[node]\nid = "kitchen"\nbase_topic = "a/b"\n[mqtt]\nhost = "hub"\ntls = true\nca_file = "x"\n',
            b'[audio]\nsource = "playback"\nplayback_dir = "x"\nspeed = 2.5\n[vad]\nonset = 0.5\noffset = 0.2\n',
        ],
    }


def one(target: str, seconds: int, corpus: Path) -> None:
    """In its own process: atheris ends it."""
    import atheris

    with atheris.instrument_imports(include=["edge", "tomllib"]):
        from tests.fuzz import targets
    function = targets.TARGETS[target]
    found = ROOT / "artefacts" / "fuzz"
    arguments = [
        "fuzz",
        str(corpus),
        f"-max_total_time={seconds}",
        "-max_len=1400",
        "-timeout=10",
        "-verbosity=0",
    ]
    arguments += ["-print_final_stats=1", f"-artifact_prefix={found}/{target}-", "-rss_limit_mb=1024"]
    atheris.Setup(arguments, function)
    atheris.Fuzz()


def main() -> int:
    """Runs the targets one after another."""
    options = parser().parse_args()
    if options.worker is not None:
        one(options.target, options.seconds, options.worker)
        return 0
    chosen = [options.target] if options.target else list(TARGETS)
    (ROOT / "artefacts" / "fuzz").mkdir(parents=True, exist_ok=True)
    status = 0
    for target in chosen:
        corpus = ROOT / "artefacts" / "fuzz" / target
        corpus.mkdir(exist_ok=True)
        for number, seed in enumerate(seeds()[target]):
            (corpus / f"seed-{number}").write_bytes(seed)
        share = max(1, options.seconds // len(chosen))
        print(f"==> {target}: {share} s", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "tests.fuzz.fuzz", "--target", target, "--seconds", str(share)]
        # atheris ends the process at once: what it has made in this folder would stay.
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=MEMORY) as folder:
            done = subprocess.run(
                [*command, "--worker", str(corpus)],
                cwd=ROOT,
                env={**os.environ, "FUZZ_FOLDER": folder},
                check=False,
            )
        print(
            f"==> {target}: {'nothing found' if done.returncode == 0 else 'BROKEN'}",
            file=sys.stderr,
            flush=True,
        )
        status = status or done.returncode
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main())
