import numpy as np
import pytest

from edge.inference import bundle, features
from edge.inference.baseline import Baseline
from edge.inference.classifier import Classifier
from edge.inference.interpreter import Interpreter, InterpreterError
from edge.protocol import LABELS
from tests.support.bundles import tiny

SHIPPED = bundle.load(bundle.find("base"))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(SHIPPED)


@pytest.fixture(scope="module")
def voice(classifier: Classifier) -> np.ndarray:
    # The one that is answered most clearly: what is nearly undecided may turn by anything.
    samples: np.ndarray = max(
        SHIPPED.golden()["samples"], key=lambda samples: classifier.classify(samples).confidence
    )
    return samples


def test_the_golden_inputs_give_the_golden_outputs(classifier):
    classifier.self_test()


def test_the_reference_kernels_decide_the_same():
    Classifier(SHIPPED, reference=True).self_test()


def test_another_golden_output_is_noticed(classifier, monkeypatch):
    golden = SHIPPED.golden()
    monkeypatch.setattr(bundle.Bundle, "golden", lambda self: golden | {"embedding": -golden["embedding"]})
    with pytest.raises(bundle.BundleError, match="cosine"):
        classifier.self_test()


@pytest.mark.parametrize("damaged", ["embedding", "logits"])
def test_the_kernels_of_an_older_interpreter_may_be_near_the_reference_kernels(monkeypatch, damaged):
    """As those of tflite-runtime 2.14 are, for the int8 graph of `small`."""
    classifier = Classifier(bundle.load(bundle.find("small")))
    golden = classifier.bundle.golden()
    near = {f"reference_{name}": golden[name] for name in ("embedding", "logits")}
    other = golden | {damaged: -golden[damaged]}
    monkeypatch.setattr(bundle.Bundle, "golden", lambda self: other | near)
    classifier.self_test()
    # What is neither's is refused.
    monkeypatch.setattr(
        bundle.Bundle, "golden", lambda self: other | near | {f"reference_{damaged}": -golden[damaged]}
    )
    with pytest.raises(bundle.BundleError):
        classifier.self_test()


def test_by_turns_every_golden_input_is_run(classifier, monkeypatch):
    golden = SHIPPED.golden()
    damaged = golden["embedding"].copy()
    damaged[1] *= -1
    monkeypatch.setattr(bundle.Bundle, "golden", lambda self: golden | {"embedding": damaged})
    assert classifier.self_test(0) == 1
    with pytest.raises(bundle.BundleError, match="golden input 1"):
        classifier.self_test(1)
    assert classifier.self_test(len(damaged)) == 1


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
    assert found.embedding.shape == (SHIPPED.manifest.embedding_size,)


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


@pytest.mark.parametrize("voice", SHIPPED.golden()["samples"])
def test_more_silence_around_speech_changes_little(classifier, voice):
    short, long = (
        classifier.classify(np.concatenate([np.zeros(begin, np.int16), voice, np.zeros(end, np.int16)]))
        for begin, end in ((1600, 1600), (8000, 12345))
    )
    # Not the same to the digit where frames begin at another place of the speech. 60 ms of silence are kept.
    for label, probability in short.probabilities.items():
        assert long.probabilities[label] == pytest.approx(probability, abs=0.05)


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


def test_long_speech_weighs_each_window_by_its_length(voice):
    # With a threshold of nothing and no room, logits are what the network says, window by window.
    classifier = Classifier(SHIPPED)
    speech = features.to_float(np.tile(voice, 4))[:100_000]
    windows = features.windows(features.trim(speech, SHIPPED.manifest.features))
    assert len(windows) > 2
    each = [classifier.outputs(window)[0][:7] for window in windows]
    weights = [features.network_input(window)[1].sum() for window in windows]
    found = classifier.classify(speech).outputs[:7]
    assert found == pytest.approx(np.average(each, axis=0, weights=weights), abs=1e-5)


@pytest.mark.parametrize(("speech_ms", "trusted"), [(None, True), (2000, True), (200, False)])
def test_a_short_word_in_a_noisy_room_is_uncertain_however_long_the_noise(voice, speech_ms, trusted):
    found = Classifier(SHIPPED, abstain_below=0.0).classify(voice, speech_ms)
    assert found.enough_speech is trusted
    assert (found.event_type == "uncertain") is not trusted


@pytest.fixture
def relative(tmp_path):
    return bundle.load(tiny.make(tmp_path, relative=True))


def test_an_utterance_is_compared_with_the_baseline_and_the_outputs_stay_those_of_the_network(
    relative, voice
):
    plain = Classifier(relative).classify(voice)
    baseline = Baseline.from_bundle(relative)
    adapted = Classifier(relative, baseline=baseline)
    assert adapted.classify(voice).probabilities == pytest.approx(plain.probabilities)
    for _ in range(300):
        baseline.add(plain.outputs)
    found = adapted.classify(voice)
    # A room where everything sounds like this: it is ordinary there.
    assert found.event_type == "neutral"
    assert abs(found.arousal) < 0.1
    assert (found.outputs == plain.outputs).all()
    assert found.outputs.shape == (8,)
    assert found.unadapted_label == plain.unadapted_label


def test_without_a_baseline_an_utterance_is_compared_with_ordinary_speech_in_general(relative, voice):
    classifier = Classifier(relative)
    assert classifier.classify(voice).probabilities == pytest.approx(
        Classifier(relative, baseline=Baseline.from_bundle(relative)).classify(voice).probabilities
    )


def test_too_little_speech_is_uncertain_and_has_no_arousal(relative):
    found = Classifier(relative).classify(np.full(100, 1000, np.int16))
    assert not found.enough_speech
    assert found.event_type == "uncertain"
    assert found.arousal is None


def test_an_absolute_head_has_no_arousal(tmp_path, voice):
    found = Classifier(bundle.load(tiny.make(tmp_path))).classify(voice)
    assert found.arousal is None
    assert found.outputs.shape == (7,)


@pytest.mark.parametrize(("speech_ms", "trusted"), [(99, False), (100, True), (None, True)])
def test_the_shortest_speech_is_what_the_manifest_says(relative, voice, speech_ms, trusted):
    assert relative.manifest.min_ms == 100
    assert Classifier(relative).classify(voice, speech_ms).enough_speech is trusted
