"""The help of every command of a device has examples, and listing a command does not import what it needs to run."""

import json
import subprocess
import sys

import pytest

COMMANDS = ("classify", "devices", "doctor", "ear", "join", "link", "model", "mute", "unmute")
HEAVY = {
    "numpy",
    "paho",
    "asyncio",
    "tuf",
    "cryptography",
    "soundfile",
    "ai_edge_litert",
    "pyaudio",
    "ssl",
    "tomlkit",
}

SCRIPT = """
import json, sys
from edge.cli.main import create_parser
parser = create_parser(only=sys.argv[1])
try:
    parser.parse_args([sys.argv[1], "--help"])
except SystemExit:
    pass
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_imports_nothing_heavy(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, command], capture_output=True, text=True, check=True, timeout=60
    )
    assert "example" in done.stdout
    assert f"roomtone {command}" in done.stdout.partition("example")[2]
    assert set(json.loads(done.stderr.splitlines()[-1])) & HEAVY == set()
