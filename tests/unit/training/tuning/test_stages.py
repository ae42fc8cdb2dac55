"""Tuning of a tiny encoder and a tiny student: what each stage does, what is averaged, and runs that were killed."""

import dataclasses
import importlib.util
import logging
import re

import msgspec
import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is installed with roomtone[training] only")
pytest.importorskip("keras", reason="keras is installed with roomtone[training] only")
if not any(importlib.util.find_spec(name) for name in ("torch", "tensorflow", "jax")):
    pytest.skip("no backend of keras is installed (roomtone[training])", allow_module_level=True)

from training.networks import backend

backend.choose("torch", "tensorflow", "jax")

from keras import ops  # noqa: E402

from edge.util.errors import UserError  # noqa: E402
from tests.support.training.tiny_corpus import encoder as random_encoder  # noqa: E402
from tests.support.training.tiny_tuning import ENCODER, HOW, HOW_STUDENT, STUDENT, data_in  # noqa: E402
from training import cli  # noqa: E402
from training.data import progress, splits  # noqa: E402
from training.data.corpora.clip import ORDINARY  # noqa: E402
from training.fit import checkpoint, inputs, trainer  # noqa: E402
from training.fit.tuning import alignment, command, households, phase, stages  # noqa: E402
from training.fit.tuning.relative_model import RelativeModel  # noqa: E402
from training.fit.tuning.room_model import RoomModel  # noqa: E402
from training.networks import pretrained, transformer  # noqa: E402
from training.recipes import recipe as recipes  # noqa: E402


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = data_in(tmp_path_factory.mktemp("tuning") / "data")
    return root, random_encoder(root)


@pytest.fixture
def data(place, monkeypatch):
    root, digest = place
    monkeypatch.setattr(pretrained, "SHA256", digest)
    monkeypatch.setattr(phase, "SAVE_EVERY", 1)
    return root


@pytest.fixture(scope="module")
def tuned(place, tmp_path_factory):
    """The folder of a whole run of the encoder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained, "SHA256", place[1])
        return tune(place[0], tmp_path_factory.mktemp("tuned") / "run").parent


def tune(data, out, how=HOW, recipe=ENCODER, **more):
    return command.run(inputs.Job(recipe, data, out, 1, quiet=True, workers=0), how, **more)


def loaded(data):
    job = inputs.Job(ENCODER, data, data, 1, quiet=True, workers=0)
    found = inputs.read_inputs(
        job, command.tasks.shipped(data, ordinary=True), dry=True, room_shares=HOW.rooms
    )
    found.loader.close()
    return stages.Run(job, HOW, found)


def test_only_the_blocks_change_and_the_result_is_between_stage_1_and_the_mean_of_the_seeds(data, tuned):
    whole = checkpoint.load_weights(tuned / "tuned.npz")
    network = transformer.make(ENCODER)
    network.load_pretrained(pretrained.load(data))
    blocks = {id(variable) for variable in network.blocks[-1].variables}
    changed = {
        id(variable)
        for variable, new in zip(network.weights, whole, strict=True)
        # The head of a new network is random.
        if not transformer.is_head(variable.path) and not np.array_equal(np.asarray(variable), new)
    }
    assert changed and changed <= blocks
    first, one, two = (
        checkpoint.load_weights(tuned / f"{name}.npz")
        for name in ("stage-1", "stage-2-seed-1", "stage-2-seed-2")
    )
    assert any(not np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    for variable, start, a, b, result in zip(network.weights, first, one, two, whole, strict=True):
        if not transformer.is_head(variable.path):
            wanted = 0.6 * ops.convert_to_numpy(variable) - 0.2 * start + 0.3 * a + 0.3 * b
            np.testing.assert_allclose(result, wanted, atol=1e-6)
    assert not list(tuned.glob("*-state.npz"))


def test_the_mean_keeps_a_share_of_each_stage():
    before, first = [np.zeros(2, np.float32)], [np.ones(2, np.float32)]
    seeds = [[np.array([1.0, 2.0])], [np.array([3.0, 2.0])]]
    how = dataclasses.replace(HOW, first_kept=0.4, kept=0.6)
    np.testing.assert_allclose(stages.mean(before, first, seeds, how)[0], [1.0, 1.0], rtol=1e-6)
    whole = dataclasses.replace(HOW, first_kept=1.0, kept=1.0)
    np.testing.assert_allclose(stages.mean(before, first, seeds, whole)[0], [2.0, 2.0], rtol=1e-6)


def test_stage_1_brings_speech_in_rooms_nearer_to_dry_speech(data, tmp_path):
    run = loaded(data)
    how = dataclasses.replace(HOW, first_steps=30, first_rate=1e-3, steps=1, seeds=1)
    tune(data, tmp_path / "out", how)
    network = transformer.make(ENCODER)
    network.load_pretrained(pretrained.load(data))
    before = network.get_weights()
    scales = alignment.read(tmp_path / "out" / "scales.npz")
    ((rows, key),) = households.utterances(run.inputs.source, HOW, 5, 1, stage=9)
    batch = run.inputs.source.batch((rows, key))
    parts = (batch.features, batch.mask, batch.dry.features, batch.dry.mask, batch.dry.shift)
    given = tuple(ops.convert_to_tensor(part) for part in parts)

    def error(weights):
        model = RoomModel(run.network(weights, frozen=True), run.network(before, frozen=True), scales)
        return float(np.mean(ops.convert_to_numpy(model.call(given))))

    assert error(checkpoint.load_weights(tmp_path / "out" / "stage-1.npz")) < 0.9 * error(before)


def test_in_stage_2_the_mean_of_neutral_speech_stands_for_the_utterances_of_the_recipe_s_prior(
    data, tmp_path
):
    given = loaded(data)
    job = dataclasses.replace(given.job, out=tmp_path)
    run = dataclasses.replace(given, job=job)
    network = transformer.make(ENCODER)
    network.load_pretrained(pretrained.load(data))
    source = run.inputs.source
    rows, key = next(iter(households.plan(source, HOW, 1)))
    batch = source.batch((rows, key))
    label, home, counted = households.targets(source, key, np.array(rows), np.random.default_rng(0))
    # Of one household, in which all count.
    label, home, all_count = np.zeros_like(label), np.zeros_like(home), np.ones_like(counted)

    def losses(prior, counted):
        relative = msgspec.structs.replace(ENCODER.relative, prior=prior)
        recipe = msgspec.structs.replace(ENCODER, relative=relative)
        start = dataclasses.replace(
            stages.solved(run, network, recipe, "pooled"),
            head=stages.solved(run, network, ENCODER, "pooled").head,
        )
        how = dataclasses.replace(HOW, held_tokens=0.0)
        model = RelativeModel(run.network(network.get_weights()), network, start, how, seed=1)
        parts = (batch.features, batch.mask, batch.dry.features, batch.dry.mask, batch.dry.shift)
        parts += (label, home, counted)
        return ops.convert_to_numpy(model.call(tuple(ops.convert_to_tensor(part) for part in parts)))

    alone = losses(5.0, np.zeros_like(counted))
    np.testing.assert_allclose(losses(1e7, all_count), alone, rtol=1e-3)
    assert not np.allclose(losses(5.0, all_count), alone, rtol=1e-2)


def test_a_long_run_says_in_a_log_how_far_it_is(data, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    how = dataclasses.replace(HOW, seeds=1)
    command.run(inputs.Job(ENCODER, data, tmp_path / "out", 1, workers=0), how)
    lines = [record.getMessage() for record in caplog.records]
    for stage in ("stage 1", "stage 2, seed 1"):
        assert [line for line in lines if re.match(rf"{stage}: 1 of \d+ steps, about .* left, loss \d", line)]


class Killed(Exception):
    pass


@pytest.mark.long
@pytest.mark.parametrize(("title", "step"), [("stage 1", 1), ("stage 2, seed 2", 1)])
def test_a_run_that_is_killed_in_either_stage_ends_as_another(
    data, tuned, tmp_path, monkeypatch, title, step
):
    steps, masks = phase._steps, households.mask_bands
    now = ""

    def titled(job, one, *given):
        nonlocal now
        now = one.title
        steps(job, one, *given)

    made = 0

    def stop(*given):
        nonlocal made
        made += now == title
        if made > step:
            raise Killed
        return masks(*given)

    with monkeypatch.context() as patch:
        patch.setattr(phase, "_steps", titled)
        patch.setattr(households, "mask_bands", stop)
        with pytest.raises(Killed):
            tune(data, tmp_path / "killed")
    assert len(list((tmp_path / "killed").glob("*-state.npz"))) == 1
    with pytest.raises(UserError, match="another run"):
        tune(data, tmp_path / "killed", dataclasses.replace(HOW, utterances=5))
    again = checkpoint.load_weights(tune(data, tmp_path / "killed"))
    for one, other in zip(checkpoint.load_weights(tuned / "tuned.npz"), again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_without_stage_1_an_encoder_is_tuned_as_it_came(data, tmp_path):
    how = dataclasses.replace(HOW, first_steps=0, seeds=1, held_tokens=0.0, kept=0.5)
    whole = checkpoint.load_weights(tune(data, tmp_path / "out", how))
    assert not (tmp_path / "out" / "stage-1.npz").exists()
    one = checkpoint.load_weights(tmp_path / "out" / "stage-2-seed-1.npz")
    network = transformer.make(ENCODER)
    network.load_pretrained(pretrained.load(data))
    for variable, new, result in zip(network.weights, one, whole, strict=True):
        if not transformer.is_head(variable.path):
            np.testing.assert_allclose(result, 0.5 * (np.asarray(variable) + new), atol=1e-6)


def test_a_student_is_tuned_by_a_teacher_and_only_its_head_is_solved_afterwards(data, tuned, tmp_path):
    made = tune(data, tmp_path / "out", HOW_STUDENT, STUDENT, teacher=tuned / "tuned.npz")
    whole, first = (checkpoint.load_weights(path) for path in (made, made.parent / "stage-1.npz"))
    names = [variable.path for variable in transformer.make(STUDENT).weights]
    moved = {
        name.split("/")[-2]
        for name, old, new in zip(names, first, whole, strict=True)
        if not np.array_equal(old, new)
    }
    assert {"entry", "exit"} <= moved and not moved & {"conv1", "conv2", "embed_mean", "classify"}

    assert command.recipe_of(made) == STUDENT and command.recipe_of(made.parent / "stage-1.npz") is None
    options = ["fit", "--data", str(data), "--out", str(tmp_path / "run"), "--from", str(made)]
    options += ["--workers", "0", "--json"]
    assert cli.main(options) == 0
    history = checkpoint.history_of(tmp_path / "run")
    assert [entry["epoch"] for entry in history["history"]] == [1] and "macro_f1" in history["history"][0]
    for name, old, new in zip(
        names, whole, checkpoint.load_weights(tmp_path / "run" / "epoch-01.npz"), strict=True
    ):
        # Solving scales the last convolution; what the student has learnt before it stays.
        if name.split("/")[-2] not in ("exit", "embed_mean", "embed_deviation", "classify", "arousal"):
            np.testing.assert_array_equal(old, new)


def test_a_student_needs_a_teacher_that_is_an_encoder(data, tuned, tmp_path):
    with pytest.raises(UserError, match="--teacher TUNED"):
        tune(data, tmp_path / "out", HOW_STUDENT, STUDENT)
    with pytest.raises(UserError, match="has no teacher"):
        tune(data, tmp_path / "out", teacher=tuned / "tuned.npz")
    # Without facts it is taken for the weights of `base`.
    with pytest.raises(UserError, match="not the weights of base"):
        tune(data, tmp_path / "out", HOW_STUDENT, STUDENT, teacher=tuned / "stage-1.npz")
    with pytest.raises(UserError, match="absent"):
        tune(data, tmp_path / "out", HOW_STUDENT, STUDENT, teacher=tmp_path / "absent.npz")
    assert not (tmp_path / "out").exists()


def test_a_recipe_without_a_baseline_cannot_be_tuned(tmp_path):
    plain = msgspec.structs.replace(ENCODER, relative=None, probe=None)
    with pytest.raises(UserError, match="relative"):
        command.run(inputs.Job(plain, tmp_path, tmp_path / "out", 1), HOW)
    assert not (tmp_path / "out").exists()


def test_no_speaker_of_calibrate_or_test_is_heard_in_either_stage(data):
    split, source = splits.load(), loaded(data).inputs.source
    known = {clip.speaker for clip in command.tasks.catalogue.read(data, ["ravdess"])[0].clips}
    left_out = set(split.calibrate) | set(split.test)
    assert known & set(split.calibrate) and known & set(split.test)
    steps = [*households.utterances(source, HOW, 1, 20), *households.plan(source, HOW, 1)]
    heard = {source.clips[row] for rows, _ in steps for row in rows}
    assert heard and not {clip.speaker for clip in heard} & left_out
    assert not any(clip.label == ORDINARY and splits.is_held_back(clip) for clip in heard)


def test_every_step_of_stage_2_has_households_of_one_round_and_the_same_again(data):
    source = loaded(data).inputs.source
    plans = list(households.plan(source, HOW, 1))
    assert plans == list(households.plan(source, HOW, 1)) and len(plans) == HOW.steps
    assert plans != list(households.plan(source, HOW, 2))
    for step, (rows, key) in enumerate(plans):
        assert key == [1, 1 + step % HOW.rounds, 3, 0, step]
        homes = source.homes(1, key[1])[rows]
        assert len(np.unique(homes)) <= HOW.households and len(rows) <= HOW.households * HOW.utterances
        label, home, counted = households.targets(source, key, np.array(rows), np.random.default_rng(0))
        assert set(home) == set(range(len(np.unique(homes)))) and (label[counted > 0] <= 0).all()
    for rows, key in households.utterances(source, HOW, 1, 3):
        assert len(rows) == len(set(rows)) == HOW.first_batch and 1 <= key[1] <= HOW.rounds


def test_a_narrower_encoder_learns_from_the_wide_one_that_was_tuned(data, tuned, tmp_path):
    recipe = msgspec.structs.replace(ENCODER, feed_forward=1792)
    how = dataclasses.replace(HOW, narrow_steps=2)
    out = tune(data, tmp_path / "out", how, recipe).parent
    # The first two stages are those of the wide one.
    for name in ("stage-1", "stage-2-seed-2"):
        for one, other in zip(
            checkpoint.load_weights(tuned / f"{name}.npz"),
            checkpoint.load_weights(out / f"{name}.npz"),
            strict=True,
        ):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    removed, third, one, two, result = (
        checkpoint.load_weights(out / f"{name}.npz")
        for name in ("narrowed", "stage-3", "stage-4-seed-1", "stage-4-seed-2", "tuned")
    )
    variables = transformer.make(recipe).weights
    assert [tuple(variable.shape) for variable in variables] == [weight.shape for weight in result]
    for variable, before, first, a, b, last in zip(variables, removed, third, one, two, result, strict=True):
        if not transformer.is_head(variable.path):
            wanted = before + 0.4 * (first - before) + 0.4 * (0.5 * (a + b) - first)
            np.testing.assert_allclose(last, wanted, atol=1e-6)
            assert "block" in variable.path or np.array_equal(before, last)
    assert any(not np.array_equal(before, last) for before, last in zip(removed, result, strict=True))
    assert command.recipe_of(out / "tuned.npz") == recipe


def test_what_was_not_tuned_has_all_units(data, tmp_path):
    recipe = msgspec.structs.replace(ENCODER, feed_forward=1792)
    trainer.run(inputs.Job(recipe, data, tmp_path / "run", 1, quiet=True, workers=0))
    assert recipes.from_document(checkpoint.history_of(tmp_path / "run")["recipe"]) == ENCODER
