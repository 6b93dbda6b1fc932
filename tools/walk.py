"""Counts of the files that one call walks through: `python -m tools.walk` prints them.

- Without an option, one warm question is put to 100,000 rows, with and without an output.
- With `--http`, a client sends a warm text query, one that is reranked, and 50 texts to a service in this process, over
  a socket. The collection is small and without late interaction, the encoder the default one.

A move is a call in another file of the project than the call before it, in any thread. A return is a move to a file
that was entered before. `--list` prints the calls of each file, `--pairs` how often the way led from one file to
another and back, `--steps` the functions in their order.
"""

from __future__ import annotations

import argparse
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FrameType
from typing import TypeAlias

import numpy as np

from softkv import Client, Collection, Document
from softkv_attention.lookup import Memory, Question, answers
from tests.checkpoints import save_cross_encoder
from tests.running import RunningService
from tools import ROOT

ROOTS = tuple(f"{ROOT / folder}/" for folder in ("attention", "service", "clients/python/softkv"))
CLIENT = ROOTS[-1]
ROWS, WIDTH = 100_000, 384
WARM_CALLS = 5
WALKS = 5
"""Of these, the shortest is shown: background work may enter the others."""
HttpCall: TypeAlias = Callable[[Collection, int], object]
HTTP_CALLS: dict[str, HttpCall] = {
    "text query": lambda collection, number: collection.attend(f"pets that purr, and purr {number} times"),
    "reranked": lambda collection, number: collection.attend(f"pets that purr {number} times", rerank={"depth": 10}),
    "50 texts": lambda collection, number: collection.write(
        [Document(f"{number}-{i}", f"{DOCUMENTS[i % 4]}, {i} of {number}") for i in range(50)]
    ),
}
DOCUMENTS = ["a cat that sleeps all day", "a dog that guards the house", "the train to the coast", "bread from rye"]
QUIET = 0.2
"""Seconds after which a service has ended the work of a call whose answer was received."""


@dataclass
class Walk:
    """The calls that enter files of the project, in the order of all threads.

    Attributes:
        calls: how many calls each file received.
        functions: the functions that were called.
        steps: the functions in the order of their calls.
        pairs: how many calls entered one of two files from the other.
    """

    calls: Counter[str] = field(default_factory=Counter)
    functions: set[CodeType] = field(default_factory=set)
    steps: list[CodeType] = field(default_factory=list)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    _last: str = ""

    def add(self, code: CodeType) -> None:
        """Count a call of a function of the project."""
        self.calls[code.co_filename] += 1
        self.functions.add(code)
        self.steps.append(code)
        if code.co_filename != self._last:
            self.pairs[min(code.co_filename, self._last), max(code.co_filename, self._last)] += 1
        self._last = code.co_filename

    @property
    def moves(self) -> int:
        """The number of calls that entered another file than the call before."""
        return self.pairs.total()

    @property
    def returns(self) -> int:
        """The number of moves to a file that was entered before."""
        return self.moves - len(self.calls)

    def __str__(self) -> str:
        of_client = sum(name.startswith(CLIENT) for name in self.calls)
        files = f"{len(self.calls) - of_client} files" + (f" and {of_client} of the client" if of_client else "")
        return (
            f"{self.calls.total()} calls, {len(self.functions)} functions, {files}, {self.moves} moves, "
            f"{self.returns} returns"
        )


@dataclass
class Recorder:
    """Records the calls of all threads in `walk`."""

    walk: Walk = field(default_factory=Walk)

    def record(self, frame: FrameType, event: str, _: object) -> None:
        """Count one event of `sys.setprofile`; a coroutine or generator that goes on counts as called."""
        if event == "call" and frame.f_code.co_filename.startswith(ROOTS):
            self.walk.add(frame.f_code)


def walk_lookup(*, output: bool) -> Walk:
    """Walk one warm question through a scan."""
    random = np.random.default_rng(1)
    keys = random.standard_normal((ROWS, WIDTH), dtype=np.float32)
    memory = Memory.of(keys, random.standard_normal((ROWS, 64), dtype=np.float32) if output else None)
    question = Question(keys[7].astype(np.float64), 0.05, output=output)
    view = memory.view
    for _ in range(3):
        answers(view, [question])
    recorder = Recorder()
    sys.setprofile(recorder.record)
    try:
        answers(view, [question])
    finally:
        sys.setprofile(None)
    return recorder.walk


def walk_http(data_dir: Path, call: HttpCall) -> Walk:
    """Walk one warm call from the client to a service and back.

    Args:
        data_dir: an empty folder for the service's store and its reranker.
        call: sends a call to the collection; the number differs from call to call.
    """
    walks, recorder = list[Walk](), Recorder()
    encoders = data_dir / "encoders.toml"
    encoders.write_text(
        f'[encoders.minilm]\nmodel = "all-MiniLM-L6-v2"\n[rerankers.pairs]\nmodel = "{save_cross_encoder(data_dir)}"\n'
    )
    threading.setprofile(recorder.record)  # for the threads that the service starts
    try:
        with RunningService(data_dir=data_dir, encoders=encoders) as service, Client(service.url) as client:
            service.wait_until_ready()
            collection = client.collection("walked")
            collection.create(late=False)
            collection.write([Document(str(i), f"{DOCUMENTS[i % 4]} {i}") for i in range(40)])
            for number in range(WARM_CALLS):
                call(collection, number)
            time.sleep(QUIET)
            sys.setprofile(recorder.record)
            for number in range(WARM_CALLS, WARM_CALLS + WALKS):
                recorder.walk = Walk()
                call(collection, number)
                time.sleep(QUIET)
                walks.append(recorder.walk)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return min(walks, key=lambda walk: walk.calls.total())


def main() -> None:
    """Print the counts."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--http", action="store_true", help="walk calls over HTTP")
    arguments.add_argument("--list", action="store_true", help="print the calls of each file")
    arguments.add_argument("--pairs", action="store_true", help="print the pairs of files with their moves")
    arguments.add_argument("--steps", action="store_true", help="print the functions in the order of their calls")
    options = arguments.parse_args()
    logging.getLogger("softkv").disabled = logging.getLogger("uvicorn.error").disabled = True
    walks = dict[str, Walk]()
    if options.http:
        for name, call in HTTP_CALLS.items():
            with TemporaryDirectory() as folder:
                walks[name] = walk_http(Path(folder), call)
    else:
        walks |= {"without output": walk_lookup(output=False), "with output": walk_lookup(output=True)}
    for name, walk in walks.items():
        sys.stdout.write(f"{name}: {walk}\n")
        if options.list:
            for path, count in walk.calls.most_common():
                sys.stdout.write(f"{count:8}  {Path(path).relative_to(ROOT)}\n")
        if options.pairs:
            for pair, count in walk.pairs.most_common():
                names = [str(Path(path).relative_to(ROOT)) for path in pair if path]
                sys.stdout.write(f"{count:8}  {'  '.join(names)}\n")
        if options.steps:
            for code in walk.steps:
                file = Path(code.co_filename).relative_to(ROOT)
                sys.stdout.write(f"    {file}:{code.co_firstlineno} {code.co_qualname}\n")


if __name__ == "__main__":
    main()
