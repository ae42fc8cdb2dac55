"""The completion script and the manual pages that the parser makes of itself."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from edge.cli.main import main


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["fleet", "enr"], {"enrol"}),
        (["demo", "--sec"], {"--seconds"}),
        (["fleet", "enrol", "study", "--cs"], {"--csr"}),
        (["fleet", "enrol", "study", "--role", "opera"], set()),
        (["com"], {"completion"}),
        (["completion", "z"], {"zsh"}),
    ],
)
def test_bash_completes_commands_and_options(words, expected, capsys, tmp_path):
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "roomtone"
    script.write_text(capsys.readouterr().out)
    asked = " ".join(f"'{word}'" for word in ("roomtone", *words))
    ask = f'COMP_WORDS=({asked}); COMP_CWORD={len(words)}; _roomtone; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "-c", f". {script}; {ask}"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert set(done.stdout.split()) == expected
    assert done.stderr == ""


def test_there_is_a_manual_page_for_each_command(tmp_path):
    assert main(["manual", "--to", str(tmp_path / "man1")]) == 0
    pages = {page.name for page in (tmp_path / "man1").iterdir()}
    assert {"roomtone.1", "roomtone-demo.1", "roomtone-ear.1", "roomtone-link.1", "roomtone-fleet.1"} <= pages
    text = (tmp_path / "man1" / "roomtone-fleet.1").read_text()
    assert ".SH ROOMTONE FLEET ENROL" in text
    if shutil.which("groff") is not None:
        checked = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z", str(tmp_path / "man1" / "roomtone-fleet.1")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert checked.stderr == ""
