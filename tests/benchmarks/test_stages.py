"""Functions belong to stages of a question, samples are shared among these; py-spy itself where it is installed."""

from __future__ import annotations

import os
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
    Profile,
    Profiler,
    main,
    rule_for,
    share_processor,
    share_wall,
    stage_of,
    table_of,
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


@pytest.mark.parametrize(
    ("function", "stage"),
    [
        ("parse_vector (/opt/softkv/service/schemas/vector.py:43)", "reading and validating the body"),
        ("loads (/opt/softkv/service/api/json.py:47)", "reading and validating the body"),
        ("JSONAnswer.render (/opt/softkv/service/api/json.py:255)", "serialising"),
        ("dumps (/usr/lib/python3.11/json/__init__.py:183)", "serialising"),
        ("LookupQueue.ask (/opt/softkv/service/retrieval/collections/lookup_queue.py:192)", HAND_OVERS),
        ("Plan.build (/opt/softkv/service/retrieval/queries/attend.py:94)", "planning the question"),
        ("StoredDocuments.documents (/opt/softkv/service/retrieval/queries/results.py:115)", "reading documents"),
        ("ResultBuilder.build (/opt/softkv/service/retrieval/queries/results.py:249)", "shaping the answer"),
        ("Histogram.observe (/opt/site-packages/prometheus_client/metrics.py:667)", "logging and metrics"),
        ("run_in_parallel (/opt/softkv/attention/kernels/dispatch.py:168)", HAND_OVERS),
        ("encode (/opt/softkv/attention/transformer/compiled.py:12)", "encoding the text"),
        (KERNEL, "lookup"),
        (LOOPING, RESTING),
        (f"_sum ({SITE}/numpy/_core/_methods.py:47)", None),
        ("<lambda> (<string>:1)", None),
    ],
)
def test_a_function_belongs_to_the_stage_of_its_longest_rule(function, stage):
    assert rule_for(function) == stage


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


def test_no_stage_has_more_than_its_threads_took():
    stages = share_processor(THREADS, {1: 0.15, 2: 0.3}, samples=100, loop=1)
    assert stages["routing"] + stages[LOOP] == pytest.approx(0.15)
    assert stages[IN_LOOP] == pytest.approx(0)


def test_wall_time_is_that_of_threads_that_do_not_rest():
    assert share_wall(THREADS) == pytest.approx({"routing": 20 / 30, "lookup": 10 / 30})
    assert share_wall({}) == {}


def test_the_table_sums_to_the_wait_of_the_caller():
    profile = Profile(200.0, 4.9, 4.5, 3.0, 0.9, {"lookup": 2.0, IN_LOOP: 1.0}, {"lookup": 2.5})
    columns = [list(column.cells) for column in table_of({"/livez": profile, "1,000": profile}).columns]
    cells = {name: row for name, *row in zip(*columns, strict=True)}
    assert cells["lookup"] == ["2.000 / 2.500"] * 2
    assert cells[BETWEEN] == ["- / 2.400"] * 2
    assert cells["a request"] == ["3.000 / 4.900"] * 2
    assert cells["the caller itself"] == ["0.100"] * 2
    assert "routing" not in cells


@pytest.mark.thorough
def test_a_real_service_is_profiled():
    if shutil.which("py-spy", path=Path(sys.executable).parent) is None:
        pytest.skip("py-spy is not installed: pip install -e '.[bench]'")
    command = [sys.executable, "-m", "benchmarks.stages", "--documents", "50", "--questions", "300"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for stage in ("lookup", "routing", HAND_OVERS, BETWEEN):
        assert f"| {stage} " in done.stdout


def test_a_missing_py_spy_can_be_installed_by_the_command_in_its_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr("sys.argv", ["stages"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main() == 1
    assert capsys.readouterr().err == "py-spy is not installed: pip install -e '.[bench]'\n"


def test_a_refusal_of_py_spy_is_an_error_with_its_reason(tmp_path):
    """A program that refuses, as py-spy does without the right."""
    program = tmp_path / "py-spy"
    program.write_text("#!/bin/sh\necho 'Permission Denied: Try running again with elevated permissions'\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(PermissionError, match="Permission Denied"):
        Profiler(str(program), os.getpid(), tmp_path).check()
