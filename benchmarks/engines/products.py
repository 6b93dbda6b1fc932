"""The current speed of this machine's matrix products, before and after a run; a change makes ratios invalid."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

import numpy as np
import torch

SIZE = 1024
SECONDS = 1.0
MOST_CHANGE = 1.2


def rates() -> dict[str, float]:
    """Billions of multiplications and additions a second, medians of one second, by number format."""
    a = np.random.default_rng(0).standard_normal((SIZE, SIZE), dtype=np.float32)
    by_name = {"float32, OpenBLAS": rate(lambda: a @ a)}
    if torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        b = torch.from_numpy(a).bfloat16()
        by_name["bfloat16, oneDNN"] = rate(lambda: b @ b)
    return by_name


def rate(product: Callable[[], object]) -> float:
    """Return the rate of one product of two such matrices, by processor time."""
    taken = []
    product()
    end = time.process_time() + SECONDS
    while not taken or time.process_time() < end:
        began = time.process_time()
        product()
        taken.append(time.process_time() - began)
    return 2 * SIZE**3 / median(taken) / 1e9


def steady(before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    """Whether none of the rates changed by more than a fifth."""
    return all(max(before[name], after[name]) <= MOST_CHANGE * min(before[name], after[name]) for name in before)
