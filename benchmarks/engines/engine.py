"""The interface of an engine: texts → vectors, tokenising included."""

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
    """The common arguments of engines.

    Attributes:
        model: the directory of the model.
        folder: a folder for files, such as an exported model.
        threads: the number of threads of its arithmetic.
    """

    model: Path
    folder: Path
    threads: int


@dataclass(frozen=True)
class Engine:
    """An engine that is ready.

    Attributes:
        encode: returns the vectors of texts.
        said: its own description: its threads, and its way of computing.
    """

    encode: Encode
    said: str


def require(*packages: str) -> None:
    """Let pass where all of these are installed.

    Raises:
        Refused: one is not.
    """
    if missing := [name for name in packages if not find_spec(name)]:
        raise Refused(f"{', '.join(missing)} not installed: pip install -e '.[bench]'")
