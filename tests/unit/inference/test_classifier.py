import subprocess
import sys

import numpy as np
import pytest

from edge.inference import bundle, features
from edge.inference.baseline import Baseline
from edge.inference.classifier import Classifier
from edge.inference.interpreter import Interpreter, InterpreterError
from edge.protocol.messages import LABELS

SHIPPED = bundle.load(bundle.find("base"))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(SHIPPED)


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    golden = SHIPPED.golden()
    # The clearest of them: what is nearly undecided may turn by anything.
    margins = np.sort(golden["logits"], axis=1) @ np.eye(7)[:, -2:] @ [-1.0, 1.0]
    return golden["samples"][margins.argmax()]


def test_the_golden_inputs_give_the_golden_outputs(classifier):
    classifier.self_test()


def test_the_reference_kernels_decide_the_same():
    Classifier(SHIPPED, reference=True).self_test()


def test_another_golden_output_is_noticed(classifier, monkeypatch):
    golden = SHIPPED.golden()
    monkeypatch.setattr(bundle.Bundle, "golden", lambda self: golden | {"embedding": -golden["embedding"]})
    with pytest.raises(bundle.BundleError, match="cosine"):
        classifier.self_test()


def test_golden_features_come_from_the_golden_samples():
    golden = SHIPPED.golden()
    for samples, mel, mask in zip(golden["samples"], golden["features"], golden["mask"], strict=True):
        found = features.network_input(features.trim(features.to_float(samples)))
        assert np.abs(found[0][0] - mel).max() <= 1e-4
        assert (found[1][0] == mask).all()


def test_probabilities_are_in_the_order_of_labels_and_sum_to_one(classifier, voice):
    found = classifier.classify(voice)
    assert tuple(found.probabilities) == LABELS
    assert sum(found.probabilities.values()) == pytest.approx(1.0)
    assert found.confidence == max(found.probabilities.values())
    assert found.embedding.shape == (len(SHIPPED.manifest.embedding_mean),)


def test_int16_and_float_are_heard_alike(classifier, voice):
    one, other = classifier.classify(voice), classifier.classify(voice.astype(np.float64) / 32768.0)
    assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)


def test_the_same_speech_gives_the_same_answer(classifier, voice):
    assert classifier.classify(voice).probabilities == classifier.classify(voice).probabilities


def test_silence_around_speech_changes_little(classifier, voice):
    alone = classifier.classify(voice)
    padded = classifier.classify(np.concatenate([np.zeros(8000, np.int16), voice, np.zeros(12345, np.int16)]))
    # Not the same to the digit: 60 ms of the silence are kept at each end.
    assert max(padded.probabilities, key=padded.probabilities.get) == max(
        alone.probabilities, key=alone.probabilities.get
    )
    assert padded.confidence == pytest.approx(alone.confidence, abs=0.25)


def test_long_speech_is_averaged_over_windows(classifier, voice):
    found = classifier.classify(np.tile(voice, 10))
    assert sum(found.probabilities.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("size", [0, 1, 479, 480, 1600])
def test_very_short_speech_is_uncertain(classifier, size):
    found = classifier.classify(np.full(size, 1000, np.int16))
    assert found.event_type == "uncertain"
    assert sum(found.probabilities.values()) == pytest.approx(1.0)


def test_digital_silence_gives_finite_numbers(classifier):
    found = classifier.classify(np.zeros(32000, np.int16))
    assert all(np.isfinite(value) for value in found.probabilities.values())


def test_the_threshold_decides_what_is_uncertain(voice):
    sure = Classifier(SHIPPED, abstain_below=0.0).classify(voice)
    assert sure.event_type in LABELS
    unsure = Classifier(SHIPPED, abstain_below=1.0).classify(voice)
    assert unsure.event_type == "uncertain"
    assert unsure.probabilities == sure.probabilities


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(classifier, bad):
    samples = np.zeros(16000, np.float32)
    samples[3] = bad
    with pytest.raises(ValueError, match="NaN"):
        classifier.classify(samples)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"TFL3" * 100)
    with pytest.raises(InterpreterError, match="cannot load"):
        Interpreter(path)
    with pytest.raises(InterpreterError, match="no such"):
        Interpreter(tmp_path / "absent.tflite")


def test_wrong_input_names_are_refused():
    with pytest.raises(InterpreterError, match="features"):
        Interpreter(SHIPPED.model).run({"sound": np.zeros((1, 300, 80), np.float32)})


def test_loading_says_nothing_and_importing_loads_nothing_heavy():
    code = (
        "import sys, edge.inference.classifier, edge.inference.bundle\n"
        "assert not [m for m in sys.modules if m.split('.')[0] in "
        "('ai_edge_litert', 'tflite_runtime', 'librosa', 'scipy', 'tensorflow', 'soundfile')]\n"
        "from edge.inference import bundle, classifier\n"
        "classifier.Classifier(bundle.load(bundle.find('base'))).self_test()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_long_speech_weighs_each_window_by_its_length(voice):
    # With a threshold of nothing and no room, logits are what the network says, window by window.
    classifier = Classifier(SHIPPED)
    speech = features.to_float(np.tile(voice, 4))[:100_000]
    windows = features.windows(features.trim(speech, SHIPPED.manifest.features))
    assert len(windows) > 2
    each = [classifier.outputs(window)[0] for window in windows]
    weights = [features.network_input(window)[1].sum() for window in windows]
    found = classifier.classify(speech).logits
    assert found == pytest.approx(np.average(each, axis=0, weights=weights), abs=1e-5)


@pytest.mark.parametrize(("speech_ms", "enough_speech"), [(None, True), (2000, True), (200, False)])
def test_a_short_word_in_a_noisy_room_is_uncertain_however_long_the_noise(voice, speech_ms, enough_speech):
    found = Classifier(SHIPPED, abstain_below=0.0).classify(voice, speech_ms)
    assert found.enough_speech is enough_speech
    assert (found.event_type == "uncertain") is not enough_speech


def test_a_room_moves_the_decision_and_not_what_the_network_said(voice):
    unadapted_label = Classifier(SHIPPED).classify(voice)
    room = Baseline(np.zeros(7), SHIPPED.manifest.temperature)
    adapted = Classifier(SHIPPED, baseline=room)
    assert adapted.classify(voice).probabilities == pytest.approx(unadapted_label.probabilities)
    # A room that is heard in every mood, and in all of them as this utterance's emotion above the others.
    best = int(unadapted_label.logits.argmax())
    for mood in range(7):
        for _ in range(100):
            heard = np.zeros(7)
            heard[mood] += 3.0
            heard[best] += 1.0
            room.add(heard)
    assert room.trust > 0
    found = adapted.classify(voice)
    assert found.probabilities[LABELS[best]] < unadapted_label.probabilities[LABELS[best]]
    assert (found.logits == unadapted_label.logits).all()
    assert (found.embedding == unadapted_label.embedding).all()


def test_what_is_too_short_to_judge_is_not_moved():
    room = Baseline(np.zeros(7))
    for mood in range(7):
        room.add(np.eye(7)[mood] + np.eye(7)[0])
    assert room.shift.any()
    found = Classifier(SHIPPED, baseline=room).classify(np.full(100, 1000, np.int16))
    assert not found.enough_speech
    assert set(found.probabilities.values()) == {1 / 7}
