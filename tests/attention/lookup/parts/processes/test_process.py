"""One child: what it gathers is what this process would, and when it is lost, who waits is told."""

from __future__ import annotations

import gc
import os
import signal
from dataclasses import fields, replace

import numpy as np
import pytest

from attention.lookup.bounds.quantisation import quantisation_errors
from attention.lookup.parts.gathered import Wanted
from attention.lookup.parts.processes import process as process_module
from attention.lookup.parts.processes.asked import Asked
from attention.lookup.parts.processes.process import Process, ProcessLostError
from attention.lookup.parts.whole import Whole
from tests.waiting import until


def begun():
    lost = []
    made = Process(1, (), None, lost.append)
    made.reasons = lost
    until(lambda: made.ready or lost, 120)
    return made


@pytest.fixture(scope="module")
def child():
    made = begun()
    yield made
    made.close()


@pytest.fixture
def victim():
    """One that the test ends."""
    made = begun()
    yield made
    made.close()


def asked_of(view, queries):
    part = Whole(view, None)
    ks, temperatures = [3] * len(queries), np.full(len(queries), 0.1)
    wanted = Wanted(queries, ks, listed=512, most=128, temperatures=temperatures, outputs=True)
    thresholds = np.full(len(queries), 0.2, dtype=np.float32)
    errors = quantisation_errors(view, part.codes(wanted))
    asked = Asked(wanted, thresholds, errors, part.facts.key_norm)
    return asked, lambda mask=None: Whole(view, mask).gather(wanted, thresholds)


def test_it_gathers_what_this_process_does(child, memory_of, processes, queries):
    memory = memory_of(processes)
    for step in range(3):
        view = memory.view
        asked, here = asked_of(view, queries)
        for mask in (None, view.mask(np.arange(0, 6_000, 3)), view.mask(np.arange(4_990, 5_010))):
            found, expected = child.ask(view, mask, asked)(), here(mask)
            for each in fields(found):
                mine, theirs = getattr(found, each.name), getattr(expected, each.name)
                if each.name in ("sums", "outputs", "value_errors"):  # threads take tiles as it comes
                    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6, err_msg=each.name)
                elif each.name == "places":  # and list what ties as it comes
                    np.testing.assert_array_equal(np.sort(mine), np.sort(theirs))
                else:
                    np.testing.assert_array_equal(mine, theirs, err_msg=each.name)
        memory.publish(remove=np.arange(step, 6_000, 7))


def test_what_is_gone_here_is_forgotten_there(child, memory_of, processes, queries):
    def mapped():
        with open(f"/proc/{child.pid}/maps") as maps:
            return sum("memfd:softkv" in line for line in maps)

    gc.collect()  # what other tests left
    memory = memory_of(processes)
    asked, _ = asked_of(memory.view, queries)
    child.ask(memory.view, None, asked)()
    assert mapped() == 6
    small = memory_of(processes, np.arange(900))
    del memory
    gc.collect()
    for _ in range(2):  # it is told as something is asked, and has forgotten when the next one is answered
        child.ask(small.view, None, asked_of(small.view, queries)[0])()
    assert mapped() == 1


def test_who_waits_is_told_that_it_has_ended(victim, memory_of, processes, queries):
    view = memory_of(processes).view
    asked, _ = asked_of(view, queries)
    os.kill(victim.pid, signal.SIGSTOP)
    answer = victim.ask(view, None, asked)
    os.kill(victim.pid, signal.SIGKILL)
    with pytest.raises(ProcessLostError, match="ended with -9"):
        answer()
    until(lambda: victim.reasons, 120)
    assert victim.reasons == ["a process that scans has ended with -9"]
    assert not victim.ready
    with pytest.raises(ProcessLostError):
        victim.ask(view, None, asked)()


@pytest.mark.thorough
def test_one_that_says_nothing_is_ended(victim, memory_of, processes, queries, monkeypatch):
    monkeypatch.setattr(process_module, "PATIENCE", 0.2)
    view = memory_of(processes).view
    os.kill(victim.pid, signal.SIGSTOP)
    with pytest.raises(ProcessLostError, match=r"no answer came in 0 s"):
        victim.ask(view, None, asked_of(view, queries)[0])()
    until(lambda: victim.reasons, 120)


@pytest.mark.thorough
def test_one_that_hears_nothing_is_ended(memory_of, processes, queries, monkeypatch):
    monkeypatch.setattr(process_module, "PATIENCE", 0.5)
    made = begun()
    try:
        view = memory_of(processes).view
        os.kill(made.pid, signal.SIGSTOP)
        many = np.tile(queries, (20_000, 1))  # more than lies between two processes
        with pytest.raises(ProcessLostError):
            made.ask(view, None, asked_of(view, many)[0])
        until(lambda: made.reasons, 120)
    finally:
        made.close()


def test_what_it_cannot_do_is_said_and_it_goes_on(child, memory_of, processes, queries):
    view = memory_of(processes).view
    asked, _ = asked_of(view, queries)
    wrong = replace(asked, wanted=replace(asked.wanted, ks=[3] * 9))
    with pytest.raises(ProcessLostError, match="could not scan"):
        child.ask(view, None, wrong)()
    assert child.ask(view, None, asked)().keys == 6_000
