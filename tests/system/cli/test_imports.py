"""What a command loads before it answers, counted in modules: seconds depend on the machine, this does not."""

import subprocess
import sys

import pytest

from training.export import golden

HEAVY = {
    "cryptography", "fastapi", "httpx", "keras", "paho", "scipy", "sklearn", "sqlalchemy", "ssl", "starlette",
    "tensorflow", "torch", "tuf",
}  # fmt: skip


def loaded(*arguments: str) -> set[str]:
    program = (
        "import gc, sys\nsearches = []\n"
        "gc.callbacks.append(lambda phase, info: searches.append(phase) if phase == 'start' else None)\n"
        "from edge.cli.main import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print('MODULES', *sorted(sys.modules), f'searches={len(searches)}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120, check=True
    )
    return set(done.stdout.rpartition("MODULES ")[2].split())


def searches(found: set[str]) -> int:
    """How often unused objects were searched, which takes longer the more there are."""
    return next(int(name.partition("=")[2]) for name in found if name.startswith("searches="))


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ()])
def test_help_loads_no_library_of_a_command(arguments):
    found = loaded(*arguments)
    assert not found & (HEAVY | {"email", "importlib.metadata", "logging", "msgspec", "numpy", "tomllib"})
    # 147 on Python 3.11, most of them the standard library's.
    assert len(found) < 200


def test_help_names_every_command_with_its_line():
    short = subprocess.run(
        [sys.executable, "-m", "edge.cli.main", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    whole = subprocess.run(
        [sys.executable, "-c", "from edge.cli.main import create_parser; create_parser().print_help()"],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    # Only the examples of the commands are added to the whole parser.
    assert short.partition("usage:")[2].split()[1:40] == whole.partition("usage:")[2].split()[1:40]
    assert "classify the emotion of a recording" in short and "train" in short


def test_classify_loads_neither_network_nor_training(tmp_path):
    import soundfile

    soundfile.write(tmp_path / "speech.wav", golden.voice(5, 2.0), 16000)
    found = loaded("classify", str(tmp_path / "speech.wav"))
    assert "edge.inference.classifier" in found and not found & HEAVY
    # Only errors and configuration files need these.
    assert not found & {"difflib", "json", "tomllib"}
    # 300 on Python 3.11: half of them NumPy's, the rest the standard library's for the most part.
    assert len(found) < 340
    # 14 on Python 3.11; with a search for every 700 new objects of the imports 71.
    assert searches(found) < 40


def test_the_ear_loads_nothing_but_what_hears(tmp_path):
    import soundfile

    soundfile.write(tmp_path / "speech.wav", golden.voice(5, 2.0), 16000)
    found = loaded(
        "ear", "--set", "audio.source=playback", "--set", f"audio.playback_dir={tmp_path}", "--set",
        f"runtime.socket={tmp_path}/link.sock", "--set", "audio.speed=20", "--set", "audio.loop=false",
    )  # fmt: skip
    assert "edge.ear.process" in found and not found & HEAVY
    # Each of these loads dozens more or takes megabytes; what the ear needs of them it has by itself.
    assert not found & {
        "email",
        "importlib.metadata",
        "numpy.ma",
        "numpy.random",
        "statistics",
        "uvloop",
        "zoneinfo",
    }
    # 330 on Python 3.11 with LiteRT; a third are NumPy's.
    assert len({name for name in found if not name.startswith("numpy")}) < 330
