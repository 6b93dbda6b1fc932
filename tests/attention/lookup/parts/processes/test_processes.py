"""Answers that several processes had a part in: those of one process, whatever is asked, and whoever is lost."""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from attention.errors import ParameterError
from attention.lookup import Auto, Background, Bias, Parted, Processes, Question, Rows, answers, seal, sweep, unseal
from attention.lookup.parts.processes import processes as processes_module
from attention.lookup.parts.processes.processes import _edges, numa_nodes
from attention.lookup.parts.processes.shared_blocks import described
from tests.attention.lookup.parts.processes.conftest import KEYS, VALUES
from tests.machine_code import KEPT
from tests.waiting import until

ASKED = [
    {"temperature": 0.05},
    {"temperature": 0.3, "output": False},
    {"temperature": 0.0, "top_k": 4},
    {"temperature": 1e-30},
    {"temperature": np.inf, "output": False},
    {"temperature": 0.1, "top_k": 300, "null": 0.4},
    {"temperature": 0.1, "null": Background(0.0, 0.2), "top_p": 0.9},
    {"temperature": 0.2, "normaliser": "sparsemax"},
    {"temperature": 0.2, "normaliser": "entmax15"},
    {"temperature": 0.2, "normaliser": "one_hot"},
    {"temperature": Auto(5.0), "output": False},
    {"temperature": 0.1, "max_error": 1e-6},
]


def same(found, expected):
    np.testing.assert_array_equal(found.numbers, expected.numbers)
    np.testing.assert_array_equal(found.similarities, expected.similarities)
    bound = found.certificate.total_variation + expected.certificate.total_variation
    assert np.abs(found.weights - expected.weights).sum() / 2 <= bound
    if expected.output is not None:
        apart = found.certificate.output_error + expected.certificate.output_error
        assert np.linalg.norm(found.output - expected.output) <= apart


def ask_both(view, one, queries, numbers=None, **how):
    for options in ASKED:
        asked = [
            [
                Question(query, mask=None if numbers is None else each.mask(numbers), **options, **how)
                for query in queries
            ]
            for each in (view, one)
        ]
        for found, expected in zip(answers(view, asked[0]), answers(one, asked[1]), strict=True):
            same(found, expected)


@pytest.mark.parametrize(
    "similarity",
    [
        "cosine",
        pytest.param("dot", marks=pytest.mark.thorough),
        pytest.param("scaled_dot", marks=pytest.mark.thorough),
    ],
)
def test_answers_are_those_of_one_process(processes, memory_of, queries, similarity):
    memory, other = memory_of(processes, similarity=similarity), memory_of(similarity=similarity)
    assert isinstance(processes.split(memory.view), Parted)
    ask_both(memory.view, other.view, queries)
    ask_both(memory.view, other.view, queries, numbers=np.arange(0, 6_000, 3))
    ask_both(memory.view, other.view, queries, numbers=np.arange(4_990, 5_010))
    for each in (memory, other):
        each.publish(remove=np.arange(0, 6_000, 5))
        each.publish(add=Rows(np.arange(6_000, 6_900), KEYS[:900], VALUES[:900]))
    ask_both(memory.view, other.view, queries)
    memory.compact()
    ask_both(memory.view, other.view, queries)


def test_a_sweep_is_that_of_one_process(processes, memory_of, queries):
    temperatures = [0.01, 0.05, 0.2, 1.0, 50.0]
    found, expected = (
        sweep(view, Question(queries[0], 1.0, output=False), temperatures)
        for view in (memory_of(processes).view, memory_of().view)
    )
    for mine, theirs in zip(found.evidence, expected.evidence, strict=True):
        assert mine.log_partition == pytest.approx(theirs.log_partition, abs=1e-3)


def test_a_bias_is_added_here(processes, memory_of, queries):
    memory, other = memory_of(processes), memory_of()
    asked = [
        [Question(queries[0], 0.1, bias=Bias.of(each.view, np.arange(100), np.full(100, 0.5)))]
        for each in (memory, other)
    ]
    same(*answers(memory.view, asked[0]), *answers(other.view, asked[1]))


def test_what_is_small_or_not_mapped_is_not_split(processes, memory_of):
    for memory in (
        memory_of(processes, np.arange(3_000)),
        memory_of(processes, similarity="gaussian"),
        memory_of(processes, codes_later=True),
        memory_of(),
    ):
        assert processes.split(memory.view) is memory.view
    view = memory_of(processes).view
    assert processes.split(view) is processes.split(view)


def test_blocks_that_get_their_codes_later_are_split_then(processes, memory_of, queries):
    memory = memory_of(processes, codes_later=True)
    memory.code()
    assert isinstance(processes.split(memory.view), Parted)
    ask_both(memory.view, memory_of().view, queries)


def test_sealed_files_are_mapped_by_all(tmp_path, processes, memory_of, queries):
    memory = memory_of(processes)
    paths = []
    for number, segment in enumerate(memory.view.segments):
        paths.append(tmp_path / f"{number}.block")
        seal(paths[-1], memory.view, segment, np.zeros(segment.count, dtype=np.int64))
    again = memory_of(processes, np.empty(0, dtype=np.int64))
    again.adopt([(sealed := unseal(path)).segment(np.ones(sealed.count, dtype=np.bool_)) for path in paths])
    for path in paths:
        path.unlink()
    # As long as an original is left to be checked this process scans alone.
    assert processes.split(again.view) is again.view
    assert not any(described(segment.block) for segment in again.view.segments)
    ask_both(again.view, memory_of().view, queries[:1])
    for segment in again.view.segments:
        while segment.block.unchecked:
            segment.block.unread.check_next(1)
        assert described(segment.block)
    assert isinstance(processes.split(again.view), Parted)
    ask_both(again.view, memory_of().view, queries)


def test_the_rows_of_a_split_are_held_once_and_go_with_their_view(processes, memory_of):
    memory = memory_of(processes)
    split = processes.split(memory.view)
    assert sum(part.n for part in split.parts) == 6_000
    assert [len(part.segments) for part in split.parts] == [3, 3]
    before = len(processes._split)
    del memory, split
    gc.collect()
    assert len(processes._split) < before


def test_when_one_is_killed_its_part_is_scanned_here_until_another_one_is_there(memory_of, queries):
    lost = []
    with Processes(2, KEPT, lost=lost.append) as running:
        until(lambda: running.ready, 120)
        memory, other = memory_of(running), memory_of()
        ask_both(memory.view, other.view, queries)
        before = running.pids
        os.kill(before[0], signal.SIGKILL)
        ask_both(memory.view, other.view, queries)
        until(lambda: lost and running.ready, 120)
        assert running.pids[0] != before[0]
        assert running.pids[1] == before[1]
        ask_both(memory.view, other.view, queries)
    assert lost == ["a process that scans has ended with -9"]
    assert running.pids == []
    assert not any(Path(f"/proc/{pid}").exists() for pid in before)
    ask_both(memory.view, other.view, queries)


def test_one_that_ends_at_once_is_started_less_and_less_often(monkeypatch, tmp_path):
    monkeypatch.setattr(processes_module, "PAUSE", 0.05)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    lost = []
    with Processes(2, lost=lost.append) as running:
        until(lambda: len(lost) >= 6, 120)
        assert not running.ready
        assert min(running._pauses) >= 0.2
    assert set(lost) == {"a process that scans has ended with 1"}


def test_a_write_adds_up_the_part_that_it_changed_alone(processes, memory_of, queries):
    memory = memory_of(processes)
    before = processes.split(memory.view)
    answers(memory.view, [Question(queries[0], 0.1)])
    memory.publish(add=Rows(np.array([6_000]), KEYS[:1], VALUES[:1]))
    after = processes.split(memory.view)
    answers(memory.view, [Question(queries[0], 0.1)])
    assert before is not after
    assert after.parts[0].grams is before.parts[0].grams
    assert after.parts[1].grams is not before.parts[1].grams


@pytest.mark.parametrize("count", [1, 0, -3])
def test_fewer_than_two_are_refused(count):
    with pytest.raises(ParameterError, match=f"2 or more, got {count}"):
        Processes(count)


@pytest.mark.parametrize(
    ("sizes", "parts", "edges"),
    [
        ([4, 4, 4, 4], 2, [(0, 2), (2, 4)]),
        ([9, 1, 1, 1], 2, [(0, 1), (1, 4)]),
        ([1, 1, 1, 9], 2, [(0, 3), (3, 4)]),
        ([5], 3, [(0, 0), (0, 1), (1, 1)]),
        ([2, 2, 2, 2, 2, 2, 2], 3, [(0, 2), (2, 5), (5, 7)]),
    ],
)
def test_parts_are_about_as_large(sizes, parts, edges):
    assert _edges(sizes, parts) == edges


def test_every_core_stands_in_one_node():
    nodes = numa_nodes()
    cores = [core for node in nodes for core in node]
    assert sorted(cores) == sorted(set(cores))
    assert os.sched_getaffinity(0) <= set(cores)
