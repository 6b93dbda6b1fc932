"""Recorded data of the page: `softkv_workshop/web/recorded`, written by `python -m workshop.tools.recorded`.

A file is a classic script, since only such scripts load from files as well as over HTTP.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tools import ROOT

FOLDER = ROOT / "workshop" / "softkv_workshop" / "web" / "recorded"
OBJECT = "self.softkvRecorded ??= {}"
LEVELS = 255
"""The number that stands for a weight of 1."""


def script(name: str, data: Any) -> str:
    """Return the text of a recorded file."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f'({OBJECT})["{name}"] = {text};\n'


def write(name: str, data: Any) -> None:
    """Write a recorded file."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.js").write_text(script(name, data), encoding="utf-8")


def read(name: str) -> Any:
    """Return the data of a recorded file.

    Raises:
        AssertionError: the file is not a script that `write` wrote.
    """
    text = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
    start = f'({OBJECT})["{name}"] = '
    assert text.startswith(start), text[:80]
    assert text.endswith(";\n"), text[-80:]
    return json.loads(text[len(start) : -2])


def pack_weights(weights: ArrayLike) -> str:
    """Return weights as a byte each, in base64; `unpack_weights` loses at most half of 1/255 of each."""
    numbers = np.round(np.asarray(weights, np.float64) * LEVELS)
    return base64.b64encode(numbers.astype(np.uint8).tobytes()).decode()


def unpack_weights(packed: str, *shape: int) -> NDArray[np.float64]:
    """Return the weights that `pack_weights` packed."""
    weights: NDArray[np.float64] = np.frombuffer(base64.b64decode(packed), np.uint8).reshape(shape) / LEVELS
    return weights
