import numpy as np
import pytest

from edge.audio.quantiles import quantile, quantiles

SHARES = (0.0, 0.1, 0.5, 0.95, 1.0)


@pytest.mark.parametrize("size", [1, 2, 3, 20, 93, 94])
def test_they_are_numpys_bit_by_bit(size: int) -> None:
    values = np.random.default_rng(size).lognormal(0, 3, (size, 4))
    for found, share in zip(quantiles(values, *SHARES), SHARES, strict=True):
        assert np.array_equal(found, np.quantile(values, share, axis=0))
        assert quantile(list(values[:, 0]), share) == np.quantile(values[:, 0], share)
