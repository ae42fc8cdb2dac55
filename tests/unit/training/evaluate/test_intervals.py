import numpy as np
import pytest

from training.metrics import intervals

stats = pytest.importorskip("scipy.stats", reason="scipy is installed with roomtone[training] only")


@pytest.mark.parametrize(
    ("count", "upper"), [(0, 2.9957), (1, 4.7439), (2, 6.2958), (5, 10.5130), (10, 16.9622), (50, 63.2871)]
)
def test_poisson_bounds_are_those_of_the_tables(count, upper):
    assert intervals.poisson_upper(count) == pytest.approx(upper, abs=1e-3)


def test_a_poisson_bound_is_exact():
    # At the upper bound, a count so small or smaller has a probability of 5 %.
    for count in (0, 3, 17):
        assert stats.poisson.cdf(count, intervals.poisson_upper(count)) == pytest.approx(0.05)


@pytest.mark.parametrize("clusters", [6, 12, 40])
def test_the_interval_over_clusters_covers_the_truth_as_often_as_it_says(clusters):
    random = np.random.default_rng(clusters)
    truth, hits, trials = 0.03, 0, 400
    for trial in range(trials):
        # Speakers differ (standard deviation 0.06), and so do the 20 clips of each: sums and counts of a cluster.
        own = random.normal(truth, 0.06, clusters)
        sums = own * 20 + random.normal(0, 0.4 * np.sqrt(20), clusters)
        values = np.stack([sums, np.full(clusters, 20.0)], axis=1)
        low, high = intervals.bootstrap(values, lambda s: s[:, 0] / s[:, 1], draws=1000, seed=trial)
        hits += low <= truth <= high
    assert 0.92 <= hits / trials <= 0.985


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).normal((0, 5), size=(9, 2))
    found = [intervals.bootstrap(values, lambda s: s[:, 0] / s[:, 1], seed=seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_one_cluster_has_no_interval():
    with pytest.raises(ValueError, match="two clusters"):
        intervals.bootstrap(np.ones((1, 2)), lambda s: s[:, 0])


@pytest.mark.parametrize("clusters", [3, 20, 84])
def test_a_share_of_nothing_is_as_uncertain_as_its_speakers_are_few(clusters):
    speakers = np.array([f"speaker {number}" for number in range(clusters)] * 5)
    low, high = intervals.of_share(np.zeros(speakers.size, np.bool_), speakers)
    # With this share, none of so many speakers would be hit in 2.5 % of all cases.
    assert low == 0.0 and (1 - high) ** clusters == pytest.approx(0.025)
    assert intervals.of_share(np.ones(speakers.size, np.bool_), speakers) == pytest.approx((1 - high, 1.0))
