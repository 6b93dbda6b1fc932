"""The process that scans: `python -m attention.lookup.parts.processes.child DESCRIPTOR THREADS [CORES] [DIRECTORY]`.

It has no rows of its own. It maps the blocks that it is told of, and ends when the process that asks has ended.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from pathlib import Path
from typing import Any

from attention.dtypes import F64
from attention.kernels import limit_workers, prepare
from attention.lookup.codes.queries import QueryCodes
from attention.lookup.memory.bits import Bits
from attention.lookup.memory.blocks import Block
from attention.lookup.memory.segments import Segment
from attention.lookup.memory.view import Mask, View
from attention.lookup.parts.gathered import Gathered
from attention.lookup.parts.processes.asked import Asked, facts_of, told
from attention.lookup.parts.processes.messages import packed, unpacked
from attention.lookup.parts.processes.shared_blocks import mapped
from attention.lookup.parts.whole import Whole
from attention.shared_memory import Array


class Scanned(Whole):
    """The rows of a part, whose errors are known where its rows are written."""

    def __init__(self, view: View, mask: Mask | None, asked: Asked) -> None:
        super().__init__(view, mask, facts=facts_of(view.similarity, view.n, view.value_dimension, asked.key_norm))
        self._asked = asked

    def gathered(self) -> Gathered:
        """What was asked for."""
        return self.gather(self._asked.wanted, self._asked.thresholds)

    def _quantisation_errors(self, queries: QueryCodes) -> F64:
        return self._asked.errors


class Child:
    """What a process has been told of: blocks, views of them, and masks of these, each by its number."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._blocks: dict[int, Block] = {}
        self._views: dict[int, View] = {}
        self._masks: dict[int, Mask] = {}

    def run(self) -> None:
        """Do what is said, in turn, until nobody is there to say more."""
        calls = {"block": self._block, "view": self._view, "mask": self._mask, "forget": self._forget}
        while True:
            try:
                said, arrays = unpacked(self._connection.recv_bytes())
            except EOFError:
                return
            if said["call"] in calls:
                calls[said["call"]](said, arrays)
            else:
                self._connection.send_bytes(self._answer(said, arrays))

    def _block(self, said: dict[str, Any], _: dict[str, Array]) -> None:
        descriptors = [recv_handle(self._connection) for _ in said["files"]]
        self._blocks[said["number"]] = mapped(said, descriptors)

    def _view(self, said: dict[str, Any], arrays: dict[str, Array]) -> None:
        segments = tuple(
            Segment(self._blocks[block], count, Bits(arrays[f"live {index}"], count).passes() if some else None)
            for index, (block, count, some) in enumerate(said["segments"])
        )
        widths = said["dimension"], said["value_dimension"]
        self._views[said["number"]] = View(said["similarity"], segments, *widths)

    def _mask(self, said: dict[str, Any], arrays: dict[str, Array]) -> None:
        view = self._views[said["view"]]
        bits = [
            Bits(arrays[f"bits {index}"], segment.count) if f"bits {index}" in arrays else None
            for index, segment in enumerate(view.segments)
        ]
        self._masks[said["number"]] = Mask(view, tuple(bits))

    def _forget(self, said: dict[str, Any], _: dict[str, Array]) -> None:
        for number in said["numbers"]:
            for known in (self._blocks, self._views, self._masks):
                known.pop(number, None)

    def _answer(self, said: dict[str, Any], arrays: dict[str, Array]) -> bytes:
        try:
            mask = None if said["mask"] is None else self._masks[said["mask"]]
            found = Scanned(self._views[said["view"]], mask, Asked.of(said, arrays)).gathered()
        except Exception:  # the one who asked does it instead, and says so
            traceback.print_exc()
            return packed({"turn": said["turn"], "failed": True}, {})
        more, gathered = told(found)
        return packed({"turn": said["turn"], **more}, gathered)


def main(arguments: Sequence[str]) -> None:
    """Be the child that a `Process` is at the other end of."""
    descriptor, threads, cores, directory = arguments
    if cores:
        os.sched_setaffinity(0, map(int, cores.split(",")))
    limit_workers(int(threads))
    prepare(Path(directory) if directory else None)
    connection = Connection(int(descriptor))
    connection.send_bytes(packed({"ready": True}, {}))
    Child(connection).run()


if __name__ == "__main__":
    main(sys.argv[1:])
