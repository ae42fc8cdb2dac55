"""What `./run demo` and `./run train` refuse before they install anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning import preflight
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("demo", "--playback", "absent"), "--playback absent: no such folder"),
        (("demo", "--model", "nosuch"), "--model nosuch: no such model bundle"),
        (("train", "fit", "--data", "absent", "--out", "run"), "--data absent: no such folder"),
        (
            ("train", "evaluate", "--protocol", "held-out", "--data", "absent"),
            "--data absent: no such folder",
        ),
    ],
)
def test_a_folder_or_model_that_is_not_there_is_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], text: str
) -> None:
    assert preflight.main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("run: ")
    assert text in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "words", [("demo", "--nosuch"), ("hub", "--port", "80"), ("train",), ("train", "fly")]
)
def test_an_unknown_option_is_refused_with_the_usage_of_run(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as ended:
        preflight.main(words)
    assert ended.value.code == 2
    assert f"usage: ./run {words[0]}" in capsys.readouterr().err


def test_what_is_right_is_not_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preflight.main(["demo", "--playback", str(tmp_path), "--seconds", "5", "--mic"]) == 0
    for model in ("small", "base-0.8.2", str(ROOT / "models" / "base-0.8.2")):
        assert preflight.main(["demo", "--model", model]) == 0
    assert preflight.main(["train", "corpora", "--data", str(tmp_path), "--json"]) == 0
    assert capsys.readouterr() == ("", "")
