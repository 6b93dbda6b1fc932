"""Forked processes: all that worked before the fork works there, though other threads were in the middle of it."""

from __future__ import annotations

import os

import pytest

from tests.blas import with_two_blas_threads

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

FORK = """
import os, sys, tempfile, threading, time
from pathlib import Path

import numpy as np

from softkv_attention.forked import cached_property, new_lock
from softkv_attention.kernels import dispatch
from softkv_attention.kernels.transformer.thread_team import encoder_pool
from softkv_attention.lookup import Limits, Memory, Rows, attend


def fork(work):
    '''Work in a forked process; print how it ended, at the latest after two minutes.'''
    child = os.fork()
    if not child:
        work()
        sys.exit()  # with all that a process does at its end
    for _ in range(6000):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            print(os.waitstatus_to_exitcode(status), flush=True)  # or the next process would write it, too
            return
        time.sleep(0.02)
    os.kill(child, 9)
    print("hangs", os.waitpid(child, 0)[1])


def in_thread(work):
    '''Call work(inside, leave) in a thread; return the thread and `leave` when it has set `inside`.'''
    inside, leave = threading.Event(), threading.Event()
    thread = threading.Thread(target=work, args=(inside, leave))
    thread.start()
    inside.wait()
    return thread, leave


random = np.random.default_rng(7)
keys = random.normal(size=(40_000, 24)).astype(np.float32)
"""

LOOKUPS = """
large, small, growing = Memory.of(keys), Memory.of(keys[:400]), Memory("cosine")
queries = random.normal(size=(4, 24))
written = 0


def answer():
    return [attend(query, memory, temperature=0.1) for memory in (large, small) for query in queries]


def ask():
    assert [list(answer.numbers) for answer in answer()] == expected


def grow():
    global written
    first, written = written, written + 2_500
    growing.publish(add=Rows(np.arange(first, written), keys[first % 30_000 :][:2_500]))
    assert growing.view.n == written == attend(queries[0], growing, temperature=0.1, null=0.9).documents


def encode():
    assert list(encoder_pool().map(abs, range(9))) == list(range(9))


expected = [list(answer.numbers) for answer in answer()]
"""

ALONE = """
grow()
encode()
for work in (ask, grow, encode):
    fork(work)
"""

MEANWHILE = """
ended = False


def repeat(work):
    while not ended:
        work()


threads = [threading.Thread(target=repeat, args=[work]) for work in (ask, grow, encode)]
for thread in threads:
    thread.start()


def work():
    global written
    written = growing.view.n  # the other thread may have been about to write
    ask(), grow(), encode()


for _ in range(12):
    fork(work)
ended = True
"""

HELD = """
class Square:
    @cached_property
    def value(self):
        if threading.current_thread() is not threading.main_thread():
            inside.set()
            leave.wait()
        return 4


lock, inside, leave = new_lock(), threading.Event(), threading.Event()
thread = threading.Thread(target=lambda: Square().value)
thread.start()
inside.wait()
with lock:
    pass


def hold(inside, leave):
    with lock:
        inside.set()
        leave.wait()


holder, let_go = in_thread(hold)


def work():
    assert lock.acquire(blocking=False) and Square().value == 4 and not lock.acquire(blocking=False)


fork(work)
assert lock.locked()
leave.set(), let_go.set()
"""

ONE_BLAS_THREAD = """
def multiply(inside, leave):
    with dispatch.one_blas_thread():
        inside.set()
        leave.wait()


def threads():
    dispatch._blas_limit.thread.submit(int).result()  # after all that it had to do before
    return {library["num_threads"] for library in dispatch.blas_controller().info()}


def work():
    assert threads() == {2}
    with dispatch.one_blas_thread():
        assert threads() == {1}
    assert threads() == {2}


thread, leave = in_thread(multiply)
fork(work)
assert threads() == {1}
leave.set()
thread.join()
assert threads() == {2}
"""

FILES = """
with tempfile.TemporaryDirectory() as directory:
    memory = Memory("dot", Path(directory), limits=Limits(min_file_bytes=1))
    memory.publish(add=Rows(np.arange(2), keys[:2], keys[:2, :3]))


    def stage(first):
        return memory.stage(add=Rows(np.arange(2, 4), keys[first : first + 2], keys[first : first + 2, :3]))


    def show(staged, first):
        memory.show(staged)
        blended = attend(np.ones(24), memory, temperature=1e9).output
        assert np.allclose(blended, keys[[0, 1, first, first + 1], :3].mean(axis=0), atol=1e-6), first


    staged = stage(10)
    fork(lambda: show(stage(20), 20))
    show(staged, 10)
"""


@pytest.mark.parametrize(
    ("program", "forks"),
    [(LOOKUPS + ALONE, 3), (LOOKUPS + MEANWHILE, 12), (HELD, 1), (ONE_BLAS_THREAD, 1), (FILES, 1)],
    ids=["alone", "while_other_threads_ask_and_write", "held_locks", "one_blas_thread", "files_of_the_parent"],
)
def test_a_forked_process_goes_on(program, forks):
    assert with_two_blas_threads(FORK + program).split() == ["0"] * forks
