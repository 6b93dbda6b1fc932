"""Functions belong to stages of a question, samples are shared among these; py-spy itself where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.stages import (
    BETWEEN,
    HAND_OVERS,
    IN_LOOP,
    LOOP,
    OTHER,
    RESTING,
    RULES,
    WITHOUT_GIL,
    share_processor,
    stage_of,
    threads_of,
)

ROOT = Path(__file__).parents[2]
SITE = "/opt/.venv/lib/python3.11/site-packages"
STARTED = "serve (/opt/softkv/service/commands/serve.py:29)"
LOOPING = "Runner.run (/usr/lib/python3.11/asyncio/runners.py:86)"
ROUTE = "GuardedRoute.handle (/opt/softkv/service/api/routing.py:323)"
KERNEL = "KernelsInC.all_products (/opt/softkv/attention/kernels/in_c.py:237)"
WORKER = "_worker (/usr/lib/python3.11/concurrent/futures/thread.py:69)"


@pytest.mark.parametrize("stage", RULES)
def test_the_files_of_this_repository_in_a_rule_exist(stage):
    for rule in RULES[stage]:
        path, _, name = rule.partition(":")
        if path.split("/")[0] in ("service", "attention"):
            assert (ROOT / path).exists(), rule
            if name:
                assert f" {name}(" in (ROOT / path).read_text(encoding="utf-8").replace(":\n", "(\n"), rule


def test_the_last_function_with_a_rule_decides_and_only_the_last_of_all_rests():
    numpy = f"_sum ({SITE}/numpy/_core/_methods.py:47)"
    assert stage_of((STARTED, LOOPING, ROUTE, KERNEL, numpy)) == "lookup"
    assert stage_of((STARTED, LOOPING, ROUTE, numpy)) == "routing"
    assert stage_of((STARTED, LOOPING)) == RESTING
    assert stage_of((STARTED, LOOPING, numpy)) == stage_of((numpy,)) == OTHER


def test_lines_of_py_spy_are_samples_of_threads():
    line = f"thread (12): MainThread;{STARTED};{LOOPING} 3"
    broken = ["thread (12): MainThread;sum (", "\ufffd;x (y.py:1) 3", ""]
    assert threads_of([line, line, f"thread (0xF): a_0;{WORKER} 1", "thread (12): MainThread 2", *broken]) == {
        12: Counter({(STARTED, LOOPING): 6, (): 2}),
        15: Counter({(WORKER,): 1}),
    }


THREADS = {
    1: Counter({(STARTED, LOOPING, ROUTE): 20, (STARTED, LOOPING): 10}),
    2: Counter({(WORKER, KERNEL): 10, (WORKER,): 10}),
}


def test_threads_share_their_processor_time_and_the_rest_is_without_the_lock():
    stages = share_processor(THREADS, {1: 0.5, 2: 0.3, 3: 0.1}, samples=100, loop=1)
    expected = {"routing": 0.2, LOOP: 0.1, IN_LOOP: 0.2, "lookup": 0.1, HAND_OVERS: 0.1, WITHOUT_GIL: 0.2}
    assert stages == pytest.approx(expected)


@pytest.mark.thorough
def test_a_real_service_is_profiled():
    if shutil.which("py-spy", path=Path(sys.executable).parent) is None:
        pytest.skip("py-spy is not installed: pip install -e '.[bench]'")
    command = [sys.executable, "-m", "benchmarks.stages", "--documents", "50", "--questions", "300"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for stage in ("lookup", "routing", HAND_OVERS, BETWEEN):
        assert f"| {stage} " in done.stdout
