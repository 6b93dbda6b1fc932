"""Child processes that scan: as many as there are parts, started anew where one is lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from threading import Lock, Timer
from typing import Self
from weakref import WeakKeyDictionary

from attention.errors import ParameterError
from attention.lookup.codes.grams import RunningGrams
from attention.lookup.memory.view import View
from attention.lookup.parts.parted import Parted
from attention.lookup.parts.processes.elsewhere import Elsewhere
from attention.lookup.parts.processes.process import Process
from attention.lookup.parts.processes.shared_blocks import described

LEAST_BLOCKS = 2
"""A part of fewer is scanned sooner than another process is asked."""

PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before one that was lost is started anew, twice as many each time that it is lost before it has begun."""


class Processes:
    """Child processes of this one, each of which scans a part of every view that is large enough.

    Rows lie in memory that all of them map, once on the machine: blocks of a `Memory` that was made with them. What
    a child cannot answer, because it has ended or is not there yet, this process scans itself.

    Args:
        count: how many. As many as the machine has NUMA nodes keep to the cores of one node each.
        directory: where machine code is kept, see `attention.lookup.prepare`.
        lost: is told where one was lost, and why.

    Raises:
        ParameterError: fewer than 2, which is what this process does alone.
    """

    def __init__(self, count: int, directory: Path | None = None, lost: Callable[[str], None] | None = None) -> None:
        nodes = numa_nodes()
        if count < 2:
            raise ParameterError(f"processes must be 2 or more, got {count}: without any, one process scans all rows")
        mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
        self._cores: list[Sequence[int]] = [()] * count
        if count == len(nodes) > 1:
            self._cores = [sorted(mine & set(node)) for node in nodes]
        self._threads = [len(cores) or max(1, len(mine) // count) for cores in self._cores]
        self._directory = directory
        self._told = lost
        self._split: WeakKeyDictionary[View, Parted | None] = WeakKeyDictionary()
        self._grams: WeakKeyDictionary[RunningGrams, list[RunningGrams]] = WeakKeyDictionary()
        self._pauses = [PAUSE] * count
        self._turn = Lock()
        self._closed = False
        self._processes: list[Process | None] = [None] * count

    def start(self) -> None:
        """Start them; until they have their machine code, some seconds, this process scans alone."""
        for index in range(len(self._processes)):
            self._start(index)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ready(self) -> bool:
        """Whether all of them answer."""
        return all(process is not None and process.ready for process in self._processes)

    @property
    def pids(self) -> list[int]:
        """The numbers that the system knows them by."""
        return [process.pid for process in self._processes if process is not None]

    def split(self, view: View) -> View:
        """The view as parts, each of which a process scans; itself where it is small, or not all lies where they can
        map it, or is checked, or one of them does not answer."""
        processes = [process for process in self._processes if process is not None and process.ready]
        if len(processes) < len(self._processes):
            return view
        if view not in self._split and any(segment.block.unchecked for segment in view.segments):
            return view
        if view not in self._split or _by_others(self._split[view], processes):
            self._split[view] = self._parts(view, processes)
        return self._split[view] or view

    def close(self) -> None:
        """End all of them."""
        with self._turn:
            self._closed = True
            ended, self._processes = self._processes, [None] * len(self._processes)
        for process in ended:
            if process is not None:
                process.close()

    def _parts(self, view: View, processes: Sequence[Process]) -> Parted | None:
        segments = view.segments
        if len(segments) < LEAST_BLOCKS * len(processes):
            return None
        if any(described(segment.block) is None for segment in segments):
            return None
        edges = _edges([segment.n for segment in segments], len(processes))
        # A part is added up from what it was in the view before: a write changes the blocks of few.
        grams = self._grams.setdefault(view.running_grams, [RunningGrams() for _ in processes])
        widths = view.dimension, view.value_dimension
        parts = tuple(
            Elsewhere(view.similarity, segments[first:last], *widths, own, process=process)
            for (first, last), own, process in zip(edges, grams, processes, strict=True)
            if first < last
        )
        return Parted(view.similarity, segments, view.dimension, view.value_dimension, parts=parts)

    def _start(self, index: int) -> None:
        with self._turn:
            if not self._closed:
                self._processes[index] = Process(
                    self._threads[index], self._cores[index], self._directory, lambda reason: self._lost(index, reason)
                )

    def _lost(self, index: int, reason: str) -> None:
        with self._turn:
            if self._closed:
                return
            process, self._processes[index] = self._processes[index], None
            if process is not None and process.began:
                self._pauses[index] = PAUSE
            pause = self._pauses[index]
            self._pauses[index] = min(2 * pause, LONGEST_PAUSE)
        if self._told is not None:
            self._told(reason)
        again = Timer(pause, self._start, [index])
        again.daemon = True
        again.start()


def numa_nodes() -> list[list[int]]:
    """The cores of each NUMA node of the machine; one node of all where the system does not say."""
    found = []
    for node in sorted(Path("/sys/devices/system/node").glob("node[0-9]*")):
        cores = list[int]()
        for span in (node / "cpulist").read_text().strip().split(","):
            first, _, last = span.partition("-")
            if first:
                cores += range(int(first), int(last or first) + 1)
        if cores:
            found.append(cores)
    return found or [list(range(os.cpu_count() or 1))]


def _by_others(split: Parted | None, processes: Sequence[Process]) -> bool:
    """Whether one of those who scan the parts is lost."""
    parts = () if split is None else split.parts
    return any(isinstance(part, Elsewhere) and part.process not in processes for part in parts)


def _edges(sizes: Sequence[int], parts: int) -> list[tuple[int, int]]:
    """From where to where each of some parts goes, so that each has about as much of what lies in a row."""
    total, ends, seen = sum(sizes), [0], 0
    for index, size in enumerate(sizes):
        # To the nearer side of the edge.
        while len(ends) < parts and seen + size / 2 > total * len(ends) / parts:
            ends.append(index)
        seen += size
    ends += [len(sizes)] * (parts + 1 - len(ends))
    return list(pairwise(ends))
