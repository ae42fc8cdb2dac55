"""`./run bench --check`: what counts as worse than the last version, and what cannot be compared."""

import json

import pytest

from tests.bench import bench, history

FIGURES = {
    "machine": "a machine",
    "version": "0.2.0",
    "base_times_faster": {"median": 20.0, "least": 18.0, "most": 22.0},
    "small_times_faster": {"median": 150.0, "least": 140.0, "most": 155.0},
    "times_smaller": 9.0,
    "base_per_reference": {"median": 5.0, "least": 4.9, "most": 5.2},
    "small_per_reference": {"median": 0.7, "least": 0.69, "most": 0.75},
    "silence_per_reference": 1.5,
    "speech_per_reference": 6.0,
    "ear_rss_mb": 64.0,
}


@pytest.fixture
def folder(tmp_path):
    history.record(FIGURES, "0.2.0", tmp_path)
    return tmp_path


def worse_by(key, share):
    """The figures with one that is so much worse."""
    old = history.value(FIGURES, key)
    now = old / (1 + share) if history.COMPARED[key] == "higher" else old * (1 + share)
    return FIGURES | {key: {"median": now} if isinstance(FIGURES[key], dict) else now}


@pytest.mark.parametrize("key", history.COMPARED)
def test_a_figure_may_get_a_tenth_worse_and_no_more(folder, key):
    assert history.check(worse_by(key, 0.09), folder) == ("0.2.0", [])
    version, lines = history.check(worse_by(key, 0.11), folder)
    assert version == "0.2.0" and len(lines) == 1 and lines[0].startswith(f"{key}: ")


@pytest.mark.parametrize("key", history.COMPARED)
def test_better_by_any_amount_passes(folder, key):
    assert history.check(worse_by(key, -0.5), folder) == ("0.2.0", [])


@pytest.mark.parametrize("key", history.COMPARED)
def test_a_figure_that_was_not_measured_does_not_pass(folder, key):
    _, lines = history.check({one: found for one, found in FIGURES.items() if one != key}, folder)
    assert lines == [f"{key}: not measured, {history.value(FIGURES, key):.4g} before"]


def test_a_figure_that_the_last_version_did_not_have_is_not_compared(tmp_path):
    history.record({"ear_rss_mb": 64.0}, "0.2.0", tmp_path)
    assert history.check(FIGURES, tmp_path) == ("0.2.0", [])


def test_the_last_version_counts_and_not_the_last_name(folder):
    history.record(FIGURES | {"ear_rss_mb": 30.0}, "0.10.0", folder)
    version, lines = history.check(FIGURES, folder)
    assert version == "0.10.0" and [line.partition(":")[0] for line in lines] == ["ear_rss_mb"]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\udcff"])
def test_a_file_that_cannot_be_read_is_named(folder, text):
    (folder / "0.3.0.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(history.HistoryError, match=r"0\.3\.0\.json"):
        history.check(FIGURES, folder)


@pytest.mark.parametrize("bad", [0, -1.0, "fast", True, {"median": "5"}])
def test_a_figure_that_is_no_positive_number_is_refused(folder, bad):
    with pytest.raises(history.HistoryError, match="ear_rss_mb"):
        history.check(FIGURES | {"ear_rss_mb": bad}, folder)


def test_nothing_to_compare_with_is_an_error(tmp_path):
    with pytest.raises(history.HistoryError, match="--record"):
        history.check(FIGURES, tmp_path)


@pytest.mark.parametrize(
    ("figures", "status"), [(FIGURES, 0), (worse_by("ear_rss_mb", 0.11), 1), (FIGURES | {"ear_rss_mb": 0}, 2)]
)
def test_the_command_says_by_its_status_whether_it_got_worse(
    folder, tmp_path, monkeypatch, capsys, figures, status
):
    for function in (history.check, history.versions):
        monkeypatch.setattr(function, "__defaults__", (folder,))
    file = tmp_path / "figures.now"
    file.write_text(json.dumps(figures))
    assert bench.main(["--figures", str(file), "--check"]) == status
    if status == 1:
        assert "worse than 0.2.0: ear_rss_mb" in capsys.readouterr().err


def test_a_reader_is_told_that_the_last_version_was_measured_elsewhere(folder, monkeypatch, capsys):
    for function in (history.check, history.versions):
        monkeypatch.setattr(function, "__defaults__", (folder,))
    assert bench.compare(FIGURES) == 0
    assert "another machine" not in capsys.readouterr().err
    assert bench.compare(FIGURES | {"machine": "one with VNNI"}) == 0
    assert "0.2.0 was measured on another machine: a machine" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"machine": "a machine"}'])
def test_a_file_that_holds_no_figures_is_refused(tmp_path, capsys, text):
    (tmp_path / "figures.json").write_text(text)
    assert bench.main(["--figures", str(tmp_path / "figures.json")]) == 2
    assert "figures.json" in capsys.readouterr().err
