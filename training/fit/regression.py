"""The logistic regression by which heads are solved. Needs scikit-learn, and no training framework."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)


def regress(
    inputs: NDArray[Any], truth: NDArray[Any], weights: NDArray[np.float64], penalty: float, *, steps: int
) -> Any:
    """Return a `LogisticRegression` of scikit-learn, fitted in at most so many steps.

    `inputs` float `[n, size]`, labels `truth` and `weights` `[n]`. Half of `penalty` times the squared weights is added
    to the mean loss. One that has not converged by then is used as it is, and logged for developers: a user can do
    nothing about it.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    solver = LogisticRegression(C=1.0 / (penalty * len(inputs)), max_iter=steps, tol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        solver.fit(inputs, truth, sample_weight=weights)
    if int(np.max(solver.n_iter_)) >= steps:
        log.debug("the regression on %d examples has not converged after %d steps", len(inputs), steps)
    return solver
