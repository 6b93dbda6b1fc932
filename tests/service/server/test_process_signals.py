"""A signal before the server starts: the process ends, whatever Python code the signal interrupts."""

from __future__ import annotations

import subprocess
import sys

# Python drops an exception that a callback of a weak reference raises, as those of import locks are.
PROGRAM = """
import signal, time, weakref
from service.server.process import ExitDeadline

signal.signal(signal.SIGINT, ExitDeadline(0).interrupt)
names = {"signal": signal}
exec(compile("def callback(_): signal.raise_signal(signal.SIGINT)", "<frozen importlib._bootstrap>", "exec"), names)
try:
    lock = type("Lock", (), {})()
    reference = weakref.ref(lock, names["callback"])
    del lock
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_signal_during_an_import_is_not_lost() -> None:
    finished = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60)
    assert (finished.stdout, finished.stderr, finished.returncode) == ("interrupted\n", "", 0)
