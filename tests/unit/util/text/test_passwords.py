"""A password at the terminal, and what is said where there is none."""

import getpass
import io

import pytest

from edge.util.errors import UserError
from edge.util.text import passwords


def test_without_a_terminal_the_option_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
    monkeypatch.setattr(passwords, "TERMINAL", tmp_path / "absent")
    with pytest.raises(UserError, match="use --stdin"):
        passwords.ask_password("Password: ", "use --stdin")


def test_a_terminal_that_is_closed_at_the_question_is_no_traceback(tmp_path, monkeypatch):
    (tmp_path / "tty").touch()
    monkeypatch.setattr(passwords, "TERMINAL", tmp_path / "tty")

    def closed(_prompt):
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", closed)
    with pytest.raises(UserError, match="use --stdin"):
        passwords.ask_password("Password: ", "use --stdin")
