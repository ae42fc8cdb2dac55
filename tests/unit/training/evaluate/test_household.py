"""The protocols of a household on made-up outputs of a shipped bundle: what they count, and where it is written."""

import dataclasses

import msgspec
import numpy as np
import pytest

from edge.inference import bundle
from edge.protocol import AROUSAL_STEPS
from training.metrics.predictions import Predictions

pytest.importorskip("scipy", reason="scipy is installed with roomtone[training] only")

from training.evaluate.household import arousal, episodes, households, one_emotion, ordinary
from training.evaluate.report import describe, household_card, household_tables
from training.metrics import replay

BASE = bundle.load(bundle.find("base"))


@pytest.fixture(autouse=True)
def few_rooms(monkeypatch):
    """Enough for a made-up model that is nearly always right."""
    for module, name, value in (
        (households, "ROOMS", 5), (arousal, "ROOMS", 5), (episodes, "ROOMS", 8), (episodes, "STREAM", 120),
        (ordinary, "ORDERS", 2),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)


def utterances(strength: float = 6.0, *, ordinary: bool = False) -> Predictions:
    """Neutral speech around the origin of the bundle, and six emotions as far from it; 8 speakers, two lengths."""
    random = np.random.default_rng(3)
    head = BASE.manifest.relative
    assert head is not None
    count = 400
    truth = np.where(np.arange(count) < 240, 0, 1 + np.arange(count) % 6)
    if ordinary:
        truth[:] = -1
    outputs = np.array(head.baseline.origin) + random.normal(0, 0.5, (count, 8))
    outputs[np.arange(count), np.maximum(truth, 0)] += np.where(truth > 0, strength, 0.0)
    outputs[:, 7] += np.where(np.isin(truth, (1, 3, 4, 6)), strength, 0.0)
    rooms = tuple("reading" if ordinary else "acted" for _ in truth)
    return Predictions(
        outputs, np.zeros((count, 1)), truth, tuple(f"x/{index % 8}" for index in range(count)), rooms,
        tuple(map(str, range(count))), np.ones(count, np.bool_), np.where(np.arange(count) % 2, 700, 1500),
    )  # fmt: skip


def test_a_household_counts_named_and_kept_by_length_too():
    measured = households.run(BASE, utterances())
    assert [one["neutral_share"] for one in measured] == list(households.SHARES)
    first = measured[0]
    assert first["named"]["share"] > 0.9 and first["kept"]["share"] > 0.9
    lengths = {entry["from_ms"]: entry for entry in first["by_length"]}
    assert set(lengths) == {500, 1000}
    emotional = sum(entry["emotional"] for entry in lengths.values())
    assert emotional + sum(entry["neutral"] for entry in lengths.values()) == first["n"]
    named = sum(entry["emotional"] * entry["named"] for entry in lengths.values()) / emotional
    assert named == pytest.approx(first["named"]["share"])
    assert households.run(BASE, utterances(0.0))[0]["named"]["share"] < 0.2


def test_ordinary_speech_is_counted_by_source_and_by_length():
    one = ordinary.run(BASE, utterances(ordinary=True))
    assert one["sources"]["reading"]["called"] == one["called"] < 0.2
    assert sum(entry["n"] for entry in one["by_length"]) < one["n"] * one["orders"]
    worse = ordinary.run(BASE, utterances())
    assert worse["called"] > one["called"]


def test_ordinary_speech_that_is_called_an_emotion_is_counted_an_hour():
    one = ordinary.run(BASE, utterances())
    counted = sum(entry["n"] for entry in one["by_length"])
    # Half of the utterances last 0.7 s, half 1.5 s.
    assert one["called_an_hour"] == pytest.approx(one["called"] * 3600 / 1.1, rel=0.02)
    assert one["sources"]["acted"]["called_an_hour"] == pytest.approx(one["called_an_hour"])
    assert counted > 300


def elsewhere(*, ordinary: bool = False) -> Predictions:
    """The same in a room whose microphone shifts all outputs towards `angry` and agitated."""
    shift = np.array([-4.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 4.0])
    found = utterances(ordinary=ordinary)
    return dataclasses.replace(found, outputs=found.outputs + shift)


def test_what_the_baseline_is_worth_is_measured_beside_it():
    one = ordinary.run(BASE, elsewhere(ordinary=True))
    assert one["called"] < 0.2 and one["called_without_baseline"] > 0.8
    assert one["sources"]["reading"]["called_without_baseline"] > 0.8
    first = households.run(BASE, elsewhere())[0]
    assert first["kept"]["share"] > 0.9 and first["without_baseline"]["kept"] < 0.2
    card = "\n".join(household_card.section({"household": [first]}, BASE.full_name))
    assert f"{100 * first['without_baseline']['kept']:.1f} %" in card
    assert "kept, 11 to 20" in card and "kept, 11 to 20" in household_tables.text([first])


def test_an_arousal_of_the_protocols_has_the_steps_of_an_event():
    found = utterances()
    arousals = replay.published(BASE, found.outputs, found.enough_speech).arousal
    assert np.allclose(arousals * AROUSAL_STEPS, np.rint(arousals * AROUSAL_STEPS))
    assert 0 < np.abs(arousals).max() <= 1


def test_agitated_speech_is_found_by_arousal_and_as_an_episode():
    (area,) = arousal.run(BASE, utterances(), utterances(ordinary=True))
    assert area["auc"] > 0.95 and area["auc_against_ordinary"] > 0.95
    levels = [row for row in area["by_arousal"] if row["n"]]
    assert sum(row["n"] for row in levels) == area["n"]
    assert levels[0]["agitated"] == 0.0 and levels[-1]["agitated"] > 0.9
    assert sum(row["ordinary"] for row in area["by_arousal"]) == pytest.approx(1.0)
    (found,) = episodes.run(BASE, utterances())
    assert found["found"] > 0.9 and found["by_emotion"]["angry"] > found["by_emotion"]["sad"]
    assert found["false_at_start"] == 0.0
    assert episodes.run(BASE, utterances(0.0))[0]["found"] < 0.2


def test_false_episodes_of_a_room_that_is_not_known_yet_are_counted_apart():
    found = utterances()
    # This room moves the arousal of all that is said in it; after a while that is its baseline.
    shifted = dataclasses.replace(found, outputs=found.outputs + np.array([0, 0, 0, 0, 0, 0, 0, 10.0]))
    (one,) = episodes.run(BASE, shifted)
    assert one["false_at_start"] > 0.5 and one["false_per_1000"] < 5.0


def test_false_episodes_are_counted_in_speech_that_was_not_acted_too():
    (calm,) = episodes.run(BASE, utterances(), utterances(ordinary=True))
    assert calm["ordinary"] == {"false_per_1000": 0.0, "sources": {"reading": 0.0}}
    lively = utterances()
    (loud,) = episodes.run(BASE, utterances(), lively)
    assert loud["ordinary"]["false_per_1000"] > 5 and list(loud["ordinary"]["sources"]) == ["acted"]
    assert f"{loud['ordinary']['false_per_1000']:.1f} episodes start" in household_tables.text([loud])
    synthetic = dataclasses.replace(lively, rooms=(ordinary.SYNTHETIC,) * len(lively.rooms))
    assert episodes.run(BASE, utterances(), synthetic)[0]["ordinary"]["false_per_1000"] is None


def test_the_loss_of_a_long_run_of_one_emotion_has_an_interval_over_speakers():
    loss = one_emotion.run(BASE, utterances())
    assert loss["loss_low_95"] <= loss["loss"] <= loss["loss_high_95"]
    assert loss["loss_high_95"] - loss["loss_low_95"] < 100
    single = dataclasses.replace(utterances(), speakers=("x/1",) * 400)
    assert one_emotion.run(BASE, single)["loss_high_95"] == 100.0


def test_every_protocol_has_a_table_and_a_place_in_the_card():
    measured = {
        "ordinary": [ordinary.run(BASE, utterances(ordinary=True))], "household": households.run(BASE, utterances()),
        "episodes": episodes.run(BASE, utterances()), "arousal": arousal.run(BASE, utterances(), None),
        "one-emotion": [one_emotion.run(BASE, utterances())],
    }  # fmt: skip
    card = "\n".join(household_card.section(measured, BASE.full_name))
    for protocol, objects in measured.items():
        assert f"--protocol {protocol} " in card
        assert household_tables.text(objects)
    assert "0.5 to 1 s" in card and "0.5 to 1 s" in household_tables.text(measured["household"])


def test_a_manifest_has_the_numbers_of_each_set_at_the_quoted_share_of_neutral():
    short = describe._shorts(households.run(BASE, utterances()))
    assert set(short) == {"acted"}
    assert short["acted"]["named"] > 0.9 and short["acted"]["kept"] > 0.9
    loss = one_emotion.run(BASE, utterances())
    assert msgspec.json.encode(describe._shorts([loss | {"loss": np.float64(1.23456)}])).endswith(
        b'"loss":1.2346}'
    )
    one = describe._shorts([ordinary.run(BASE, utterances(ordinary=True))])
    assert one["called"] == pytest.approx(0.0, abs=0.2) and one["n"] == 400
