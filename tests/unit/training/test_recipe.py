import pytest

from edge.util.errors import UserError
from training.recipes import recipe


def test_an_unknown_key_of_a_recipe_is_refused(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('name = "x"\narchitecture = "whisper"\nepochs = 1\ndraws = 1\nlearnin_rate = 3\n')
    with pytest.raises(UserError, match="learnin_rate"):
        recipe.load(str(path))


def test_the_shipped_recipes_are_valid():
    for path in recipe.FOLDER.glob("*.toml"):
        assert recipe.load(path.stem).name == path.stem
