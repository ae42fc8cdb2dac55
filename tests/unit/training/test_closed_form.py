"""The head in closed form: it finds what separates the labels, and is put into the network as it was solved."""

import importlib.util

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is installed with roomtone[training] only")
pytest.importorskip("keras", reason="keras is installed with roomtone[training] only")
if not any(importlib.util.find_spec(name) for name in ("torch", "tensorflow", "jax")):
    pytest.skip("no backend of keras is installed (roomtone[training])", allow_module_level=True)

from training.networks import backend

backend.choose("torch", "tensorflow", "jax")

from tests.support.training.tiny_corpus import corpora, encoder  # noqa: E402
from training.data import task  # noqa: E402
from training.data.recordings import Sounds  # noqa: E402
from training.fit import batches, closed_form, data_loader  # noqa: E402
from training.networks import pretrained, transformer  # noqa: E402
from training.networks.head import Solved  # noqa: E402
from training.recipes import recipe  # noqa: E402

RECIPE = recipe.Recipe(
    name="tiny", architecture="whisper", layers=1, freeze=1, embedding=16, epochs=0, draws=8, batch=4,
    probe=recipe.Probe(rounds=2), augment=recipe.Augment(mixup=0.0),
)  # fmt: skip


def blobs(count: int = 700, size: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Seven labels around seven places, with a spread of very different sizes."""
    random = np.random.default_rng(0)
    truth = np.arange(count) % 7
    spread = np.geomspace(1e-3, 1e3, size)
    pooled = (random.standard_normal((7, size))[truth] * 2 + random.standard_normal((count, size))) * spread
    return pooled.astype(np.float32), truth


def logits(head: Solved, pooled: np.ndarray) -> np.ndarray:
    return ((pooled - head.centre) * head.scale) @ head.components @ head.kernel + head.bias


def test_it_separates_labels_whatever_the_size_of_the_numbers():
    pooled, truth = blobs()
    head = closed_form.solve(pooled[::2], truth[::2], np.ones(350), RECIPE.probe, 16)
    assert (logits(head, pooled[1::2]).argmax(axis=1) == truth[1::2]).mean() > 0.9
    np.testing.assert_allclose(head.components.T @ head.components, np.eye(16), atol=1e-4)


def test_a_clip_that_counts_more_moves_the_head_more():
    pooled, truth = blobs()
    heavy = np.where(truth == 3, 20.0, 1.0)
    plain = closed_form.solve(pooled, truth, np.ones(700), RECIPE.probe, 4)
    tilted = closed_form.solve(pooled, truth, heavy / heavy.mean(), RECIPE.probe, 4)
    assert (logits(tilted, pooled).argmax(axis=1) == 3).sum() > (
        logits(plain, pooled).argmax(axis=1) == 3
    ).sum()


def test_a_student_says_what_was_solved_in_whatever_scaling_suits_int8():
    network = transformer.make(
        recipe.Recipe(
            name="tiny", architecture="student", embedding=12, epochs=0, draws=8,
            student=recipe.Student(width=16, blocks=1),
        )
    )  # fmt: skip
    random = np.random.default_rng(3)
    mel = random.uniform(-1.0, 1.0, (60, 80, 80)).astype(np.float32)
    mask = (np.arange(40) < random.integers(20, 40, (60, 1))).astype(np.float32)
    truth = np.arange(60) % 7
    for _ in range(2):  # and again on top of the first, as `fit --from` does
        pooled = closed_form.Pooler(network).predict_on_batch((mel, mask))
        head = closed_form.solve(pooled, truth, np.ones(60), probe_of(), 20)
        network.install(head)
        said, embedding = (numbers(part) for part in network((mel, mask)))
        np.testing.assert_allclose(said, logits(head, pooled), rtol=2e-3, atol=2e-2)
        np.testing.assert_allclose(embedding.std(axis=0), 1.0, atol=0.05)


def probe_of() -> recipe.Probe:
    return recipe.Probe(rounds=1, penalty=1e-3)


def numbers(tensor) -> np.ndarray:
    return np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor)


@pytest.mark.long
def test_the_network_says_what_was_solved_and_a_part_that_is_lost_is_computed_again(tmp_path, monkeypatch):
    data = corpora(tmp_path / "data")
    monkeypatch.setattr(pretrained, "SHA256", encoder(data))
    monkeypatch.setattr(closed_form, "PART", 8)
    network = transformer.make(RECIPE)
    network.load_pretrained(pretrained.load(data))
    own, sounds = task.shipped(data), Sounds()
    source = batches.Source(own.fitting, own.labels, sounds, [], RECIPE)
    loader = data_loader.DataLoader(source, 0)
    lengths = [sounds[clip.path].size / 16000 for clip in own.fitting]

    def gather():
        return closed_form.gather(
            network, source, loader.batches, lengths, seed=1, out=tmp_path / "out", quiet=True
        )

    pooled, truth, _ = gather()
    assert len(pooled) == 2 * len(own.fitting)
    parts = sorted((tmp_path / "out").iterdir())
    parts[-1].unlink()
    again, *_ = gather()
    np.testing.assert_array_equal(pooled, again)

    head = closed_form.solve(pooled, truth, np.ones(len(truth)), RECIPE.probe, 16)
    network.install(head)
    batch = source.batch(([0, 1], [1]))
    found = closed_form.Pooler(network).predict_on_batch((batch.features, batch.mask))
    said = network((batch.features, batch.mask))[0]
    np.testing.assert_allclose(numbers(said), logits(head, found), atol=1e-3)


@pytest.mark.long
def test_runs_that_share_what_a_frozen_encoder_says_learn_only_from_their_own_clips(tmp_path, monkeypatch):
    from training.fit import inputs, trainer

    data = corpora(tmp_path / "data")
    monkeypatch.setattr(pretrained, "SHA256", encoder(data))
    how = recipe.Recipe(
        name="tiny", architecture="whisper", layers=1, freeze=1, embedding=16, epochs=0, draws=80, batch=4,
        probe=recipe.Probe(rounds=1),
    )  # fmt: skip
    clips = task.shipped(data).fitting
    people = sorted({clip.speaker for clip in clips})
    found = []
    for shared in (True, False):
        for left_out in people[:2]:
            own = task.Task(
                [clip for clip in clips if clip.speaker != left_out],
                [clip for clip in clips if clip.speaker == left_out],
            )
            out = tmp_path / f"{shared}-{left_out.replace('/', '-')}"
            together = {"pooled": tmp_path, "also": own.validation} if shared else {}
            trainer.run(inputs.Job(how, data, out, 1, quiet=True, workers=0, task=own, **together))
            with np.load(out / "epoch-00.npz") as kept:
                found.append([kept[name] for name in kept.files][-2:])
    assert len(list(tmp_path.glob("pooled-*"))) == 1
    for one, other in zip(found[:2], found[2:], strict=True):
        np.testing.assert_allclose(one[0], other[0], atol=2e-3)
    assert not np.allclose(found[0][0], found[1][0], atol=2e-3)
