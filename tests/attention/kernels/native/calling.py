"""A process that runs calls of kernels in C, and names each before it runs: `python -m` this module, and arguments.

A fault in C ends the process, and not the tests. The name of the last call is then the one at fault.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from softkv_attention.kernels import in_c
from softkv_attention.kernels.in_c import KernelsInC
from softkv_attention.kernels.native import pointers
from softkv_attention.kernels.native.kinds import KINDS
from softkv_attention.kernels.native.library import Library, library_of, usable_kinds
from tests.attention.kernels.native import cases
from tests.attention.kernels.native.mistakes import mistaken_cases
from tests.attention.kernels.native.placing import GuardedPages, placed

PLACES = ("end", "begin", "anywhere")
"""The places of arrays: before a page that cannot be read, behind such a page, or in NumPy's own memory."""


def beyond(running: KernelsInC) -> cases.Outputs:
    """Read a byte behind an array, which is a fault if it lies before a page that cannot be read."""
    numbers = np.arange(8.0)
    return [np.frombuffer(ctypes.string_at(in_c.address(numbers, pointers.F64), numbers.nbytes + 1), dtype=np.uint8)]


class Called(NamedTuple):
    """The outcome of a process that called kernels.

    Attributes:
        digests: those of the outputs of each call that returned, by the name of the call.
        fault: the name of the call at which it ended, and how; empty without a fault.
    """

    digests: dict[str, str]
    fault: str


def call(suite: str, kind: str, place: str = "anywhere", library: Path | None = None) -> Called:
    """Run the calls of a suite in a process, for a kind of processor.

    Args:
        suite: one of SUITES.
        kind: its name.
        place: one of PLACES.
        library: a library of this kind alone; without it the one that was built.
    """
    arguments = [suite, kind, place, *([str(library)] if library else [])]
    done = subprocess.run([sys.executable, "-m", __name__, *arguments], capture_output=True, text=True)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    digests = {line[0]: line[1] for line in lines if len(line) > 1}
    if done.returncode == 0:
        return Called(digests, "")
    last = next((line[0] for line in reversed(lines) if len(line) == 1), "before the first call")
    return Called(digests, f"{last}: exit {done.returncode}: {done.stderr[-500:]}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def encodings() -> dict[str, cases.Case]:
    """Return the calls of the encoder, whose imports take a second that other suites save."""
    from tests.attention.kernels.native.encoder_cases import encoder_cases

    return encoder_cases()


SUITES = {
    "odd": cases.odd_cases,
    "large": cases.large_cases,
    "extreme": cases.extreme_cases,
    "encoder": encodings,
    "mistakes": lambda: mistaken_cases(_say),
    "beyond": lambda: {"a byte too far": beyond},
}


def main() -> None:
    """Run a suite of calls, with the name of each before it and its digest behind it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("kind")
    parser.add_argument("place", choices=PLACES)
    parser.add_argument("library", nargs="?")
    chosen = parser.parse_args()
    kind = next(kind for kind in KINDS if kind.name == chosen.kind)
    usable_kinds()  # asks Linux for the matrix unit
    library = Library(ctypes.CDLL(chosen.library), kind) if chosen.library else library_of(kind)
    running = KernelsInC(library)
    for name, case in SUITES[chosen.suite]().items():
        _say(name)
        if chosen.place == "anywhere":
            outputs = case(running)
        else:
            pages = GuardedPages(end=chosen.place == "end")
            with placed(running, pages):
                outputs = case(running)
            pages.check()
        _say(f"{name}\t{cases.digest(outputs)}")


if __name__ == "__main__":
    main()
