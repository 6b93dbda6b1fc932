"""Uses of the library that a type checker must understand; never imported, but checked by test_attention_types.py."""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np
import torch
from numpy.typing import NDArray

from softkv_attention import attend as attend_arrays
from softkv_attention.lookup import Answer, Memory, attend

double, single = np.ones((4, 2)), np.ones((4, 2), dtype=np.float32)
memory = Memory.of(double, single, owners=np.arange(4))
Memory.of(single, double)
Memory.of(np.arange(8).reshape(4, 2))
Memory.of("texts")  # wrong: arg-type

assert_type(attend(np.ones(2), memory, temperature=1.0), Answer)
assert_type(attend([1.0, 0.0], memory, temperature=1.0), Answer)
assert_type(attend(np.ones((3, 2)), memory, temperature=1.0), list[Answer])
assert_type(attend(double, memory, temperature=1.0), list[Answer])
assert_type(attend([[1.0, 0.0]], memory, temperature=1.0), list[Answer])


def ask(queries: NDArray[np.float64], tensor: torch.Tensor) -> None:
    """Ask with arrays whose types do not say how many dimensions they have."""
    assert_type(attend(queries, memory, temperature=1.0), Any)
    assert_type(attend(tensor, memory, temperature=1.0), Any)
    assert_type(attend_arrays(queries, queries, queries).weights, NDArray[np.float64])
    assert_type(attend_arrays(tensor, tensor, tensor).output, torch.Tensor)
    _ = attend_arrays(tensor, tensor, tensor).outptu  # wrong: attr-defined


attend(3, memory, temperature=1.0)  # wrong: call-overload
