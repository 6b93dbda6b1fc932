"""A signal before the server starts: the process ends, whatever Python code the signal interrupts."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Python drops an exception that a callback of a weak reference raises, as those of import locks are, and one in a
# function of a compiled extension that declares none.
PROGRAM = """
import signal, sys, time, weakref
from softkv_service.server.process import ExitDeadline

signal.signal(signal.SIGINT, ExitDeadline(0).interrupt)
names = {"signal": signal}
exec(compile("def callback(_): signal.raise_signal(signal.SIGINT)", sys.argv[1], "exec"), names)
try:
    lock = type("Lock", (), {})()
    reference = weakref.ref(lock, names["callback"])
    del lock
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("file", ["<frozen importlib._bootstrap>", "extension.pyx"])
def test_a_signal_is_not_lost_where_exceptions_are_dropped(file: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, file], capture_output=True, text=True, check=False, timeout=60
    )
    assert (finished.stdout, finished.stderr, finished.returncode) == ("interrupted\n", "", 0)
