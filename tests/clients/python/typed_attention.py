"""Uses of the core through the client that a type checker must understand; checked by test_attention.py."""

from __future__ import annotations

from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from softkv.attention import ShapeError, attend
from softkv.attention.lookup import Answer, Memory
from softkv.attention.lookup import attend as look_up


def ask(arrays: NDArray[np.float64]) -> None:
    """Ask by both functions of the name."""
    assert_type(attend(arrays, arrays, arrays).weights, NDArray[np.float64])
    assert_type(look_up([1.0, 0.0], Memory.of(arrays), temperature=1.0), Answer)
    attend(arrays, arrays, arrays, temprature=1.0)  # wrong: call-overload


Memory.of("texts")  # wrong: arg-type
_ = ShapeError("wrong").code  # wrong: attr-defined
