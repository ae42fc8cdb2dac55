"""Ratios of pairs: of each round its own, and their spread."""

import pytest

from tests.bench import pairs

ROWS = [
    {"base": {"cpu_ms": 10.0, "reference_ms": 2.0}, "peer": {"cpu_ms": 200.0, "rss_mb": 700.0}},
    {"base": {"cpu_ms": 20.0, "reference_ms": 4.0}, "peer": {"cpu_ms": 500.0, "rss_mb": 710.0}},
    {"base": {"cpu_ms": 12.0, "reference_ms": 3.0}, "peer": {"cpu_ms": 180.0, "rss_mb": 705.0}},
]


def test_a_ratio_is_that_of_a_round_and_not_of_the_best_of_each():
    found = pairs.figures(ROWS)
    assert found["base_times_faster"] == {"median": 20.0, "least": 15.0, "most": 25.0}
    assert found["base_per_reference"] == {"median": 5.0, "least": 4.0, "most": 5.0}
    assert found["base_utterance_cpu_ms"] == 10.0 and found["peer_utterance_cpu_ms"] == 180.0
    assert found["peer_rss_mb"] == 705.0 and found["reference_ms"] == 2.0


def test_without_the_large_model_there_is_no_ratio_to_it():
    found = pairs.figures([{"base": row["base"]} for row in ROWS])
    assert "base_times_faster" not in found and "peer_rss_mb" not in found
    assert found["base_per_reference"]["median"] == pytest.approx(5.0)
