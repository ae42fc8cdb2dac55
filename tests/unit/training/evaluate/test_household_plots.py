"""The pictures of the household protocols are drawn from their JSON objects, and change with the numbers."""

import copy

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is installed with roomtone[training] only")

import matplotlib as mpl

from training.evaluate.report import household_plots

mpl.use("Agg")


def share(value: float) -> dict:
    return {"share": value, "low_95": value - 0.1, "high_95": value + 0.1}


def objects() -> dict:
    source = {"called": 0.05, "low_95": 0.01, "high_95": 0.09, "utterances": 60}
    return {
        "ordinary": [{"bundle": "base-9.9.9", "n": 120, "sources": {"reading": source, "meetings": source}} | source],
        "household": [
            {"set": name, "neutral_share": neutral, "named": share(0.5), "kept": share(0.9)}
            for name in ("ravdess", "nemo") for neutral in (0.85, 0.95)
        ],
        "episodes": [
            {"bundle": "base-9.9.9", "set": name, "found": 0.9, "false_per_1000": 1.0,
             "curve": [{"threshold": t / 10, "found": 1 - t / 12, "false_per_1000": 9.0 - t} for t in range(10)]}
            for name in ("ravdess", "nemo")
        ],
        "arousal": [
            {"set": name, "auc": 0.9, "mean_of_speakers": 0.9, "low_95": 0.8, "high_95": 0.95,
             "by_arousal": [{"from": -1.0, "to": 0.2, "agitated": 0.1, "ordinary": 0.9},
                            {"from": 0.2, "to": 0.5, "agitated": None, "ordinary": 0.1},
                            {"from": 0.5, "to": 1.0, "agitated": 0.8, "ordinary": 0.0}]}
            for name in ("ravdess", "nemo")
        ],
        "one-emotion": [
            {"bundle": "base-9.9.9", "loss": 5.0, "loss_low_95": 1.0, "loss_high_95": 9.0, **named(),
             "per_label": {"happy": named(), "angry": named()}}
        ],
    }  # fmt: skip


def named() -> dict:
    return {"fixed": 0.6, "learning": 0.55, "from_first": 0.3}


def drawn(folder, measured) -> dict[str, bytes]:
    folder.mkdir()
    household_plots.draw(folder, measured)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_protocol_that_was_measured_has_its_picture(tmp_path):
    found = drawn(tmp_path / "all", objects())
    assert set(found) == set(household_plots.NOTES)
    assert all(data.startswith(b"\x89PNG") for data in found.values())
    assert set(drawn(tmp_path / "one", {"ordinary": objects()["ordinary"]})) == {"ordinary.png"}


@pytest.mark.parametrize(
    ("protocol", "change"),
    [
        ("ordinary", lambda one: one["sources"]["reading"].update(called=0.2)),
        ("household", lambda one: one["kept"].update(share=0.5)),
        ("episodes", lambda one: one["curve"][3].update(found=0.1)),
        ("arousal", lambda one: one["by_arousal"][2].update(agitated=0.5)),
        ("one-emotion", lambda one: one["per_label"]["angry"].update(learning=0.2)),
    ],
)
def test_the_pictures_show_the_numbers(tmp_path, protocol, change):
    other = copy.deepcopy(objects())
    change(other[protocol][0])
    before, same, after = (
        drawn(tmp_path / name, made)[f"{protocol}.png"]
        for name, made in (("before", objects()), ("same", objects()), ("after", other))
    )
    assert before == same != after
