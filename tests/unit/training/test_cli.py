import subprocess
import sys

import pytest

from edge.util.errors import UserError
from training.recipes import recipe


def train(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "training", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("step", ["fit", "export", "evaluate", "corpora"])
def test_every_step_has_help(step):
    done = train(step, "--help")
    assert done.returncode == 0
    assert "--data" in done.stdout and "--json" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("evaluate", "--protocol", "nonsense", "--data", "."), "unknown protocol"),
        (("evaluate", "--protocol", "folder", "--data", "/nowhere"), "/nowhere"),
        (("evaluate", "--protocol", "folder", "--bundle", "absent", "--data", "."), "no model bundle"),
        (("fit", "--recipe", "absent", "--data", ".", "--out", "/nowhere/x"), "no recipe absent"),
        (("export", "--run", "/nowhere", "--data", ".", "--version", "0.0.1"), "/nowhere"),
        (("corpora", "--data", "/nowhere"), "no such folder"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, words):
    done = train(*arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_unknown_key_of_a_recipe_is_refused(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('name = "x"\narchitecture = "whisper"\nepochs = 1\ndraws = 1\nlearnin_rate = 3\n')
    with pytest.raises(UserError, match="learnin_rate"):
        recipe.load(str(path))


def test_the_shipped_recipes_are_valid():
    for path in recipe.FOLDER.glob("*.toml"):
        assert recipe.load(path.stem).name == path.stem
