"""The help of every command of a device has examples, and listing a command does not import what it needs to run."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge.cli.completion import parsers
from edge.cli.main import create_parser, main

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


def test_every_command_and_sub_command_has_an_example_of_itself() -> None:
    found = parsers(create_parser())
    assert len(found) > 40
    without = []
    for words, parser in found.items():
        shown = (parser.epilog or "").partition("example")[2]
        # In a checkout the demo is run by `./run`.
        if not any(f"{program} {' '.join(words[:1])}".strip() in shown for program in ("roomtone", "./run")):
            without.append(" ".join(words))
    assert without == []


def test_every_option_says_what_it_is_and_not_only_its_default() -> None:
    without = [
        f"{parser.prog} {' '.join(action.option_strings) or action.dest}"
        for parser in parsers(create_parser()).values()
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction)
        and (not action.help or action.help.startswith("(default"))
    ]
    assert without == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_imports_nothing_heavy(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, command], capture_output=True, text=True, check=True, timeout=60
    )
    assert "example" in done.stdout
    assert f"roomtone {command}" in done.stdout.partition("example")[2]
    assert set(json.loads(done.stderr.splitlines()[-1])) & HEAVY == set()


def test_a_command_of_a_part_that_is_not_installed_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a device, which has no `fleet`."""
    monkeypatch.setitem(sys.modules, "provisioning.fleet.cli", None)
    assert main(["fleet", "list"]) == 2
    assert "./run setup" in capsys.readouterr().err


def test_without_a_command_all_of_them_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "classify the emotion of a recording" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "program"),
    [
        (["demo", "--faster"], "roomtone demo"),
        (["hub", "run", "--faster"], "roomtone hub run"),
        (["classify", "--faster", "hub"], "roomtone classify"),
    ],
)
def test_an_unknown_option_is_refused_with_the_usage_of_its_command(
    given: list[str], program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"usage: {program} [-h]" in said
    assert "--faster" in said.splitlines()[-1]


def test_what_run_hub_has_made_is_named_where_it_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROOMTONE_DATABASE", raising=False)
    for file in ("hub/site/ca.key", "hub/data/roomtone.db"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    assert main(["fleet", "list"]) == 2
    assert "--site hub/site" in capsys.readouterr().err
    assert main(["hub", "user", "list"]) == 2
    assert "--database sqlite:///hub/data/roomtone.db" in capsys.readouterr().err
