"""What softkv leaves as it was in a program that imports it, runs a local service, and closes it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = r"""
import asyncio, gc, json, logging, os, resource, signal, sys, threading, warnings

def state():
    limits = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {
        "signal handlers": {str(number): repr(signal.getsignal(number)) for number in signal.valid_signals()},
        "hooks": repr((sys.excepthook, threading.excepthook, sys.unraisablehook)),
        "root logger": repr((logging.getLogger().handlers, logging.getLogger().level, logging.getLogger().filters)),
        "filters of warnings": list(map(repr, warnings.filters)),
        "event-loop policy": repr(asyncio.get_event_loop_policy()),
        "garbage collection": repr((gc.isenabled(), gc.get_threshold(), gc.get_freeze_count() > 0, gc.callbacks)),
        "limits of resources": {name: resource.getrlimit(getattr(resource, name)) for name in limits},
        "environment": dict(os.environ),
        "working directory": os.getcwd(),
        "interpreter": [sys.getswitchinterval(), sys.getrecursionlimit(), sys.path],
    }

def running():
    gc.collect()
    descriptors = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    files = [os.readlink(path) for path in descriptors if os.path.exists(path)]
    with open(f"/proc/self/task/{os.getpid()}/children") as children:
        return {
            "threads": sorted(thread.name for thread in threading.enumerate()),
            "children": children.read().split(),
            "files": sorted(file for file in files if "/libffi.so" not in file),
        }

states, before = [state()], running()
from softkv import Client
states.append(state())
client = Client.local()
collection = client.collection("a")
collection.create()
collection.put("x", key="cats purr")
assert collection.attend("pets that purr").best is not None
states.append(state())
client.close()
del client, collection
states.append(state())
print(json.dumps({"states": states, "before": before, "after": running()}))
"""

OF_LIBRARIES = ("KMP_DUPLICATE_LIB_OK", "numpy")
"""What imported libraries leave, as docs/guide/python.md says: threadpoolctl's variable, and NumPy's filters.

threadpoolctl lists libraries in a callback from C, for which newer versions of libffi keep their own file open.
"""


def differences(before: object, after: object) -> list[str]:
    """Return what of a state has changed, except for what libraries leave."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = [name for name in before | after if before.get(name) != after.get(name)]
        return [f"{name}: {after.get(name)}" for name in names if not name.startswith(OF_LIBRARIES)]
    if isinstance(before, list) and isinstance(after, list):
        assert [item for item in after if item in before] == before
        return [item for item in after if item not in before and "numpy" not in str(item)]
    return [] if before == after else [f"{before} became {after}"]


@pytest.mark.parametrize("before", ["", "import gc; gc.freeze()", "import gc; gc.disable()"])
def test_a_program_that_ran_a_local_service_is_as_it_was(before):
    policy = "ignore:'asyncio.get_event_loop_policy' is deprecated:DeprecationWarning"  # Python 3.14 says so
    command = [sys.executable, "-W", policy, "-c", f"{before}\n{PROGRAM}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert done.stderr == ""
    seen = json.loads(done.stdout)
    first, *later = seen["states"]
    for state in later:
        assert {name: changed for name in first if (changed := differences(first[name], state[name]))} == {}
    assert seen["after"] == seen["before"]
