"""The process that decodes and classifies untrusted recordings; started by `pool.py`.

It is separate from the web server because hostile files attack decoders first: here memory is limited, no file can be
created, there are no secrets, and a crash costs one answer. Requests on standard input are a length (4 bytes,
big-endian) and that many bytes; answers on standard output are one JSON object a line.
"""

from __future__ import annotations

import os
import resource
import struct
import sys
from typing import IO, Any, Final

import msgspec

from edge.util.errors import UserError

MEMORY_BYTES: Final = 3 << 30
"""Limit of the address space, of which the libraries reserve much more than they use."""
MAX_BYTES: Final = 8 << 20
MAX_DURATION_S: Final = 60.0


def main(bundle_name: str) -> int:
    """Classify recordings from standard input until its end, in the worker process; return the exit status."""
    # What a library prints to standard output must not become part of an answer.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    try:
        reader = _reader(bundle_name)
    except UserError as error:
        _write(answers, {"error": str(error)})
        return 2
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    # Recordings are kept in anonymous memory files; this limits their size.
    _limit(resource.RLIMIT_FSIZE, MAX_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    _write(answers, {"ready": True})
    while (head := sys.stdin.buffer.read(4)) and len(head) == 4:
        (length,) = struct.unpack(">I", head)
        data = sys.stdin.buffer.read(length)
        if len(data) != length:
            break
        _write(answers, _classify(reader, data))
        del data
    return 0


def _reader(bundle_name: str) -> Any:
    from edge.audio.recordings import RecordingClassifier
    from edge.audio.vad import make_vad
    from edge.config.load import load
    from edge.inference import bundle
    from edge.inference.classifier import Classifier

    config = load()
    return RecordingClassifier(config, make_vad(config), Classifier(bundle.load(bundle.find(bundle_name))))


def _classify(reader: Any, data: bytes) -> dict[str, Any]:
    from edge.audio.files import AudioFile
    from edge.audio.recordings import MIN_S

    memory = os.memfd_create("recording")
    name = f"/proc/self/fd/{memory}"
    try:
        with os.fdopen(memory, "wb", closefd=False) as file:
            file.write(data)
        with AudioFile(name) as audio:
            seconds = audio.seconds
        if seconds is not None and seconds > MAX_DURATION_S:
            return {"error": f"the recording is longer than {MAX_DURATION_S:.0f} s", "code": "long"}
        if seconds is not None and 0 < seconds < MIN_S:
            return {"error": f"the recording is shorter than {1000 * MIN_S:.0f} ms", "code": "short"}
        answer: dict[str, Any] = msgspec.to_builtins(reader.classify(name, segments=False))
        del answer["file"]
        return answer
    except UserError as error:
        return {"error": str(error).replace(name, "the recording"), "code": "unreadable"}
    except MemoryError:
        return {"error": "the recording needs more memory than there is for it", "code": "large"}
    finally:
        os.close(memory)


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most, most if hard == resource.RLIM_INFINITY else min(most, hard)))


def _write(answers: IO[bytes], answer: dict[str, Any]) -> None:
    answers.write(msgspec.json.encode(answer) + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
