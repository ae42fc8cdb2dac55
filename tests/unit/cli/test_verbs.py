"""A command without the verb that it needs shows its verbs; any other mistake one line with its usage."""

from __future__ import annotations

import pytest

from edge.cli.main import main


@pytest.mark.parametrize(
    ("words", "verb"),
    [(("hub",), "backup"), (("fleet",), "revoke"), (("fleet", "keys"), "rotate"), (("model",), "rollback")],
)
def test_without_a_verb_the_verbs_are_listed(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], verb: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert f"\n    {verb} " in said.err
    assert "error:" not in said.err


def test_an_option_that_is_missing_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fleet", "keys", "init"])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "error: the following arguments are required: --url" in said
