"""What an engine is: texts → vectors, tokenising included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]
"""n texts → float32 [n, d], of length one, in their order."""


class Refused(Exception):
    """An engine cannot run here; it says why."""


@dataclass(frozen=True)
class Setting:
    """What every engine is given.

    Attributes:
        model: the directory of the model.
        folder: for what an engine wants written, as an exported model.
        threads: for its arithmetic.
    """

    model: Path
    folder: Path
    threads: int


@dataclass(frozen=True)
class Engine:
    """One that is ready.

    Attributes:
        encode: what it does.
        said: what it says of itself: the threads that it has, and how it computes.
    """

    encode: Encode
    said: str


def require(*packages: str) -> None:
    """Let pass where all of these are installed.

    Raises:
        Refused: one is not.
    """
    if missing := [name for name in packages if not find_spec(name)]:
        raise Refused(f"{', '.join(missing)} not installed: pip install 'softkv[bench]'")
