"""Threads share few heaps of the C library, unless the environment says otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, threading
from softkv_service.server.process import limit_heaps
print(limit_heaps() if sys.argv[1] == "few" else None)
sys.stdout.flush()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier(12)
def take():
    together.wait()
    libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=take) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_stats()
"""


def heaps(argument, **variables):
    environment = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"} | variables
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, argument], env=environment, capture_output=True, text=True, check=True
    )
    return ran.stdout.strip(), ran.stderr.count("Arena ")


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_threads_share_few_heaps():
    assert heaps("many")[1] > 2
    printed, arenas = heaps("few")
    assert printed == "True"
    assert arenas <= 2


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_an_environment_with_its_own_choice_is_left_alone():
    printed, arenas = heaps("few", MALLOC_ARENA_MAX="5")
    assert printed == "False"
    assert 2 < arenas <= 5
