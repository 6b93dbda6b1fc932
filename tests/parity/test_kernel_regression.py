"""Gaussian attention against statsmodels' kernel regression: the same estimate, T the bandwidth squared."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.nonparametric.kernel_regression import KernelReg

from softkv_attention import attend

M, N, D = 7, 53, 3


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("bandwidth", [0.3, 1.0, 2.5])
def test_gaussian_attention_is_kernel_regression(bandwidth):
    random = np.random.default_rng(11)
    key, query = random.normal(size=(N, D)), random.normal(size=(M, D))
    value = np.sin(key.sum(-1, keepdims=True)) + 0.1 * random.normal(size=(N, 1))
    regression = KernelReg(value, key, var_type="c" * D, reg_type="lc", bw=np.full(D, bandwidth))
    expected, _ = regression.fit(query)
    attended = attend(query, key, value, similarity="gaussian", temperature=bandwidth**2)
    np.testing.assert_allclose(attended.output[:, 0], expected, rtol=1e-10)
