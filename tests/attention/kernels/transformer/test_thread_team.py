"""Threads share out the rows of each stage, and none begins one before all are done with the one before."""

from __future__ import annotations

import threading
from collections import Counter
from itertools import pairwise
from time import sleep

import pytest

from softkv_attention.kernels import pool
from softkv_attention.kernels.transformer import thread_team
from softkv_attention.kernels.transformer.thread_team import encoder_pool, run_in_stages, run_with_idle_threads

PATIENCE = 60
"""Seconds for a thread to begin, on a busy machine too."""


class Log:
    """The rows, stages and threads of the work, in the order in which it began."""

    def __init__(self, seconds=0.0, meeting=None):
        self.seconds = seconds
        self.meeting = meeting
        self.begun = []
        self.running = Counter()
        self.lock = threading.Lock()

    def __call__(self, stage, first, last):
        with self.lock:
            assert all(other == stage for other in self.running.elements())
            self.running[stage] += 1
            self.begun.append((stage, first, last, threading.get_ident()))
        if self.meeting and stage == 0:
            self.meeting.wait()
        sleep(self.seconds)
        with self.lock:
            self.running[stage] -= 1

    def rows(self, stage):
        return sorted((first, last) for number, first, last, _ in self.begun if number == stage)

    def threads(self, stage):
        return {thread for number, _, _, thread in self.begun if number == stage}


@pytest.fixture
def crew(monkeypatch):
    """Eight threads of their own, whatever the machine has."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as threads:
        monkeypatch.setattr(thread_team, "encoder_pool", lambda: threads)
        yield threads


def test_encoding_has_threads_of_its_own():
    assert encoder_pool() is not pool()
    assert encoder_pool() is encoder_pool()


@pytest.mark.parametrize("rows", [1, 11, 12, 13, 145, 384])
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_all_rows_are_done_once_in_each_stage_after_the_one_before(crew, rows, threads):
    log = Log(0.002)
    run_in_stages(log, 4, rows, threads, 12)
    stages = [stage for stage, *_ in log.begun]
    assert stages == sorted(stages)
    assert set(stages) == {0, 1, 2, 3}
    for stage in range(4):
        parts = log.rows(stage)
        assert (parts[0][0], parts[-1][1]) == (0, rows)
        assert all(one[1] == other[0] and one[1] % 12 == 0 for one, other in pairwise(parts))
        assert len(parts) <= threads
    assert log.threads(3) <= log.threads(0)


def test_a_busy_thread_is_not_waited_for(crew):
    free = threading.Event()
    for _ in range(8):
        crew.submit(free.wait)
    log = Log()
    run_in_stages(log, 3, 145, 4, 12)
    run_with_idle_threads(lambda: log(3, 0, 145), 4)
    free.set()
    assert log.rows(1) == log.rows(2) == log.rows(3) == [(0, 145)]
    assert {thread for *_, thread in log.begun} == {threading.get_ident()}


def test_a_late_thread_leaves(crew):
    team = thread_team._Team(Log(), 2, 24, 2, 12)
    team.work()
    before = list(team._stage.begun)
    team.work()
    assert team._stage.begun == before


@pytest.mark.parametrize("failing", ["here", "there"])
@pytest.mark.parametrize("index", [0, 1])
def test_an_error_is_raised_without_waiting_for_the_failed_thread(crew, failing, index):
    thread_id, both = threading.get_ident(), threading.Barrier(2, timeout=PATIENCE)

    def stage(number, first, last):
        if number == 0:
            both.wait()  # both have come
        if number == index and (threading.get_ident() == thread_id) == (failing == "here"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_in_stages(stage, 3, 145, 2, 12)
    assert crew.submit(lambda: 1).result(timeout=PATIENCE) == 1


def test_work_runs_in_idle_threads_and_their_errors_are_raised(crew):
    both = threading.Barrier(2, timeout=PATIENCE)
    run_with_idle_threads(both.wait, 2)

    def work():
        both.wait()
        if threading.current_thread() is not threading.main_thread():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_with_idle_threads(work, 2)
