"""Counts of the files that one lookup walks through: `python -m tests.walk` prints them.

One warm question is put to 100,000 rows under `sys.setprofile`, with and without an output. A move is a call in another
file of the project than the call before it. `--list` prints the calls of each file.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import numpy as np

from attention.lookup import Memory, Question, answers, prepare

ROOT = str(Path(__file__).parents[1] / "attention")
ROWS, WIDTH = 100_000, 384


@dataclass
class Walk:
    """The calls of one thread that enter files of the project.

    Attributes:
        calls: how many calls each file received.
        moves: how many calls entered another file than the call before.
    """

    calls: Counter[str] = field(default_factory=Counter)
    moves: int = 0
    _last: str = ""

    def record(self, frame: FrameType, event: str, _: object) -> None:
        """Count one event of `sys.setprofile`."""
        name = frame.f_code.co_filename
        if event != "call" or not name.startswith(ROOT):
            return
        self.calls[name] += 1
        self.moves += name != self._last
        self._last = name


def walk(*, output: bool) -> Walk:
    """Walk one warm question through a scan."""
    random = np.random.default_rng(1)
    keys = random.standard_normal((ROWS, WIDTH), dtype=np.float32)
    memory = Memory.of(keys, random.standard_normal((ROWS, 64), dtype=np.float32) if output else None)
    question = Question(keys[7].astype(np.float64), 0.05, output=output)
    view = memory.view
    for _ in range(3):
        answers(view, [question])
    recorded = Walk()
    sys.setprofile(recorded.record)
    try:
        answers(view, [question])
    finally:
        sys.setprofile(None)
    return recorded


def main() -> None:
    """Print the counts."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--list", action="store_true", help="print the calls of each file")
    listing = arguments.parse_args().list
    prepare()
    for output in (False, True):
        counted = walk(output=output)
        sys.stdout.write(
            f"{'with' if output else 'without'} output: {counted.calls.total()} calls, {len(counted.calls)} files, "
            f"{counted.moves} moves\n"
        )
        if listing:
            for name, count in counted.calls.most_common():
                sys.stdout.write(f"{count:8}  {Path(name).relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
