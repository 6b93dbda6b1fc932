"""The child by itself, at the end of a pipe: what it says when it begins, and when nobody is left to ask."""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing import Pipe

import pytest

from attention.lookup.parts.processes.messages import packed, unpacked


@pytest.fixture
def at_work():
    mine, theirs = Pipe()
    core = min(os.sched_getaffinity(0))
    options = [str(theirs.fileno()), "3", str(core), ""]
    command = [sys.executable, "-m", "attention.lookup.parts.processes.child", *options]
    with theirs:
        child = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True)
    with child, mine:
        yield mine, child, core
        child.kill()


def test_it_says_when_it_is_ready_what_it_could_not_do_and_ends_with_who_asks(at_work):
    connection, child, core = at_work
    assert connection.poll(300)
    assert unpacked(connection.recv_bytes())[0] == {"ready": True}
    assert os.sched_getaffinity(child.pid) == {core}
    connection.send_bytes(packed({"call": "forget", "numbers": [7]}, {}))
    connection.send_bytes(packed({"call": "gather", "turn": 5, "view": 1, "mask": None}, {}))  # it was told of no view
    assert connection.poll(60)
    assert unpacked(connection.recv_bytes())[0] == {"turn": 5, "failed": True}
    assert child.poll() is None
    connection.close()
    assert child.wait(60) == 0
    assert "KeyError: 1" in child.stderr.read()
