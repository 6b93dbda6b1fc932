"""Models whose validators are built on their first use, by several threads at once."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from pydantic import ValidationError

from softkv_service.schemas.wire import Wire
from tests.examples import ROOT

THREADS, MODELS = 4, 100

FORKED = """
import os, signal
from threading import Event, Thread
from softkv_service.schemas import wire

class Counted(wire.Wire):
    count: int

inside, leave = Event(), Event()

def build():
    with wire._BUILDING:
        inside.set()
        leave.wait()

thread = Thread(target=build)
thread.start()
inside.wait()
child = os.fork()
if not child:
    signal.alarm(60)
    os._exit(Counted(count=2).count)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
leave.set()
"""


def test_threads_that_use_a_model_first_at_once_all_get_its_own_validator():
    barrier = Barrier(THREADS)

    def validate(model):
        barrier.wait()
        with pytest.raises(ValidationError, match="count"):
            model.model_validate({"count": "none"})
        return model.model_validate({"count": 2.0})

    with ThreadPoolExecutor(THREADS) as threads:
        for number in range(MODELS):
            model = type(f"Model{number}", (Wire,), {"__annotations__": {"count": int}, "__module__": __name__})
            assert not model.__pydantic_complete__
            objects = list(threads.map(validate, [model] * THREADS))
            assert all(type(content) is model and content.count == 2 for content in objects)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_builds_a_model_that_another_thread_was_building():
    ended = subprocess.run([sys.executable, "-c", FORKED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "2\n"
