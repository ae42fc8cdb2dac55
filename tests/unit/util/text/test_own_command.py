"""The name by which a user can type `roomtone`, or the path of the program."""

import sys

from edge.util.text.own_command import own_command


def test_the_name_where_the_shell_finds_it_and_the_path_where_it_does_not(tmp_path, monkeypatch):
    program = tmp_path / "my env" / "bin" / "roomtone"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "my env"))
    monkeypatch.setenv("PATH", str(program.parent))
    assert own_command() == "roomtone"
    monkeypatch.setenv("PATH", "/absent")
    assert own_command() == f"'{program}'"
    # Another installation on the path is not this one.
    other = tmp_path / "roomtone"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert own_command() == f"'{program}'"


def test_an_installation_without_the_program_says_the_name(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert own_command() == "roomtone"
