import pytest

from edge.util.errors import UserError
from training.data import splits
from training.export import operators
from training.recipes import recipe


def test_an_unknown_key_of_a_recipe_is_refused(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('name = "x"\narchitecture = "whisper"\nepochs = 1\ndraws = 1\nlearnin_rate = 3\n')
    with pytest.raises(UserError, match="learnin_rate"):
        recipe.load(str(path))


def test_the_shipped_recipes_are_valid():
    for path in recipe.FOLDER.glob("*.toml"):
        assert recipe.load(path.stem).name == path.stem


def test_a_recipe_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    for name in ("folder", "latin"):
        with pytest.raises(UserError, match=name):
            recipe.load(str(tmp_path / f"{name}.toml"))


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"x = ", b'corpora = ["a"]\n'])
def test_a_file_of_splits_that_cannot_be_used_is_refused(tmp_path, content):
    path = tmp_path / "splits.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="splits"):
        splits.load(path)


@pytest.mark.parametrize("content", [b"", b"no model", bytes(64)])
def test_what_is_no_tflite_file_is_refused(tmp_path, content):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a TFLite file"):
        operators.tensors(path)
