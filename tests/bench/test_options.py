"""The help of `./run bench`."""

from tests.bench import options


def test_every_option_says_what_it_is_and_not_only_its_default() -> None:
    without = [
        f"{parser.prog} {' '.join(action.option_strings)}"
        for parser in (options.ear(), options.hub(), options.arm())
        for action in parser._actions
        if not action.help or action.help.startswith("(default")
    ]
    assert without == []
