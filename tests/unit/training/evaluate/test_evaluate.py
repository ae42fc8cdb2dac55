"""Every protocol really runs: the shipped bundle, the device's interpreter, a handful of clips."""

import json
import logging
import shutil

import numpy as np
import pytest

from edge.inference import bundle
from edge.protocol import LABELS
from edge.util.errors import UserError
from tests.support.bundles import tiny
from training import cli
from training.data import progress
from training.evaluate import registry
from training.evaluate.clip_lists import CLIPS
from training.evaluate.evaluator import Evaluator
from training.evaluate.labelled import measures, quantisation
from training.evaluate.report import tables
from training.export import golden
from training.recipes import recipe

soundfile = pytest.importorskip("soundfile", reason="soundfile is installed with the edge")
pytest.importorskip("scipy", reason="scipy is installed with roomtone[training] only")

KEYS = {
    "protocol", "bundle", "n", "accuracy", "uar", "macro_f1", "accuracy_restricted", "ece",
    "accuracy_at_80_coverage", "per_class", "confusion", "coverage",
}  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return bundle.load(tiny.make(tmp_path_factory.mktemp("bundle"), relative=True))


@pytest.fixture
def recordings(tmp_path):
    """`DIR/<label>/<speaker>/*`: two made-up voices."""
    root = tmp_path / "recordings"
    for index, label in enumerate(("angry", "sad", "neutral")):
        for speaker in ("anna", "ben"):
            path = root / label / speaker / "one.wav"
            path.parent.mkdir(parents=True)
            soundfile.write(path, golden.voice(index + 10 * (speaker == "ben"), 0.8), 16000)
    return root


def test_any_folder_is_measured_and_nothing_is_left_out(base, recordings):
    (one,) = registry.run_all("folder", Evaluator(base, recordings, quiet=True))
    assert set(one) >= KEYS
    assert one["n"] == 6 and np.sum(one["confusion"]["counts"]) == 6
    assert set(one["per_speaker"]) == {"folder/anna", "folder/ben"}
    assert set(one["per_class"]) == {"angry", "sad", "neutral"}
    assert json.loads(json.dumps(one)) == one
    assert "anna" in tables.text([one])


def test_adapting_keeps_the_plain_numbers_beside(base, recordings):
    evaluator = Evaluator(base, recordings, quiet=True)
    (plain,) = registry.run_all("folder", evaluator)
    (adapted,) = registry.run_all("folder", evaluator, "baseline")
    assert set(adapted) >= KEYS
    assert adapted["adapt"] == "baseline" and adapted["orders"] == 5
    assert adapted["plain"]["accuracy"] == plain["accuracy"]
    assert adapted["gain"] == pytest.approx(100 * (adapted["accuracy"] - plain["accuracy"]), abs=0.01)


def test_a_long_evaluation_says_in_a_log_how_far_it_is(base, recordings, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    registry.run_all("folder", Evaluator(base, recordings))
    assert [r for r in caplog.records if r.getMessage().startswith("folder: 5 of 6 clips, about ")]


def test_an_unreadable_recording_is_left_out_and_named(base, recordings, caplog):
    (recordings / "sad" / "anna" / "two.wav").write_bytes(b"this is no sound")
    (recordings / "sad" / "anna" / "three.wav").write_bytes(b"")
    soundfile.write(recordings / "sad" / "anna" / "four.wav", np.zeros(100, np.int16), 16000)
    (one,) = registry.run_all("folder", Evaluator(base, recordings, quiet=True))
    assert one["n"] == 6
    assert "two.wav" in caplog.text and "three.wav" in caplog.text


def test_mostly_unreadable_recordings_are_an_error(base, recordings):
    for path in recordings.rglob("one.wav"):
        if path.parent.name == "anna" or "sad" in path.parts:
            path.write_bytes(b"this is no sound")
    with pytest.raises(UserError, match=r"4 of 6 files cannot be read"):
        registry.run_all("folder", Evaluator(base, recordings, quiet=True))


def test_a_folder_of_other_words_is_said_with_what_was_there(base, tmp_path):
    (tmp_path / "cheerful").mkdir()
    soundfile.write(tmp_path / "cheerful" / "a.wav", golden.voice(1, 0.5), 16000)
    with pytest.raises(UserError, match="no labelled audio"):
        registry.run_all("folder", Evaluator(base, tmp_path))


@pytest.mark.parametrize("damage", ["model.tflite", "manifest.json", "golden.npz"])
def test_a_damaged_bundle_is_said_in_one_line(base, recordings, tmp_path, capsys, damage):
    copy = tmp_path / base.full_name
    shutil.copytree(base.path, copy)
    data = (copy / damage).read_bytes()
    (copy / damage).write_bytes(data[: len(data) // 2])
    status = cli.main(["evaluate", "--protocol", "folder", "--bundle", str(copy), "--data", str(recordings)])
    said = capsys.readouterr()
    assert status == 2 and damage in said.err and not said.out
    assert len(said.err.strip().splitlines()) == 1


def test_a_bundle_with_an_absolute_head_has_no_baseline_and_says_so(recordings, tmp_path, capsys):
    absolute = tiny.make(tmp_path / "absolute")
    arguments = ["evaluate", "--protocol", "folder", "--bundle", str(absolute), "--data", str(recordings)]
    assert cli.main([*arguments, "--adapt", "baseline"]) == 2
    assert "not relative to a baseline" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--protocol", "one-emotion", "--adapt", "baseline"], "makes no sense"),
        (["--protocol", "quantisation"], "--run"),
        (["--protocol", "held-out"], "ravdess is missing"),
        (["--protocol", "noise"], "household"),
        (["--protocol", "ravdess-si"], "--out"),
        (["--protocol", "ordinary-left-out", "--out", "runs"], "--run"),
        (["--protocol", "ordinary-left-out", "--run", "run"], "--out"),
        (["--protocol", "folder", "--every", "0"], "--every"),
    ],
)
def test_what_is_missing_is_said(arguments, words, tmp_path, capsys):
    status = cli.main(["evaluate", *arguments, "--data", str(tmp_path)])
    assert status == 2
    assert words in capsys.readouterr().err


def test_the_folder_of_the_corpora_may_stand_in_the_environment(recordings, monkeypatch, capsys):
    arguments = ["evaluate", "--protocol", "folder", "--json"]
    monkeypatch.delenv("ROOMTONE_DATA", raising=False)
    assert cli.main(arguments) == 2
    assert "ROOMTONE_DATA" in capsys.readouterr().err
    monkeypatch.setenv("ROOMTONE_DATA", str(recordings))
    assert cli.main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 6


def test_comparing_a_bundle_with_itself_is_status_0(base, recordings, capsys):
    status = cli.main(
        ["compare", str(base.path), str(base.path), "--protocol", "folder", "--data", str(recordings)]
    )
    said = capsys.readouterr().out
    assert status == 0
    assert "cannot be told apart" in said and "folder" in said


def test_the_mean_of_objects_is_number_by_number():
    one = {"a": 1.0, "n": 4, "name": "x", "list": [[1, 2], [3, 4]], "in": {"b": 0.0}}
    other = {"a": 2.0, "n": 4, "name": "x", "list": [[3, 2], [3, 5]], "in": {"b": 1.0}}
    mean = measures.mean_of([one, other])
    assert mean == {"a": 1.5, "n": 4, "name": "x", "list": [[2, 2], [3, 4.5]], "in": {"b": 0.5}}


@pytest.mark.data
@pytest.mark.parametrize(
    ("protocol", "adapt", "every", "objects"),
    [
        ("held-out", None, 120, 1), ("held-out", "baseline", 120, 1), ("unseen-language", "baseline", 100, 1),
        ("noise", None, 250, 5), ("reverberation", None, 350, 9),
        ("calibration", None, 120, 1),
    ],
)  # fmt: skip
def test_each_protocol_runs_on_real_voices(base, corpora, protocol, adapt, every, objects):
    found = registry.run_all(protocol, Evaluator(base, corpora, every, True), adapt)
    assert len(found) == objects
    for one in found:
        assert set(one) >= KEYS
        assert one["protocol"] == protocol and one["every"] == every
        assert 0 <= one["ece"] <= 1 and one["confusion"]["labels"] == list(LABELS)
    assert protocol in tables.text(found)
    if protocol in ("noise", "reverberation"):
        assert found[0]["condition"] == "clean" and found[0]["loss"] == 0
        assert len({one["condition"] for one in found}) == objects
        assert len({one["n"] for one in found}) == 1
        assert set(found[0]["household"]) == set(found[0]["mean_loss_household"])
    if protocol == "calibration":
        assert sum(entry["n"] for entry in found[0]["reliability"]) == found[0]["n"]


def test_quantisation_compares_a_relative_head_with_another_graph(base, recordings, tmp_path, monkeypatch):
    """The graph is the same here, so nothing may be lost; its arousal output is found by its shape."""

    def convert_again(made_of, weights, path, *, quantise):
        assert not quantise
        shutil.copy(base.path / bundle.MODEL, path)

    monkeypatch.setattr(quantisation.convert, "in_own_process", convert_again)
    found = Evaluator(base, recordings, quiet=True).predictions("folder")
    clips = CLIPS["folder"](recordings)
    rounded, full = quantisation.run(base, (recipe.load("base"), tmp_path), clips, found, True)
    assert rounded["same_decision"] == 1.0 and rounded["loss"] == full["loss"] == 0.0
    assert rounded["accuracy"] == full["accuracy"]
    assert rounded["cosine"] == pytest.approx(1.0)
