"""Machine code is made before the first question waits for it, and kept for the next process; kinds of processors."""

from __future__ import annotations

import platform
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

from attention.kernels import dispatch, machine_code
from attention.kernels.dot import INSTRUCTIONS
from attention.kernels.machine_code import TARGETS, targets_of, this_target
from attention.lookup import Auto, Memory, Question, Rows, answers, prepare, sweep
from tests.thorough import thorough

ROOT = Path(__file__).parents[3]

# Counts the kernels that a process found and those that it compiled.
TELL = """
import sys
from pathlib import Path
from attention.kernels import dispatch
from attention.kernels.machine_code import prepare
from attention.kernels.machine_code import TARGETS
compiling = []
prepare(Path(sys.argv[1]), TARGETS.get(sys.argv[2]), lambda: compiling.append(True))
from attention.kernels.cpu import KERNELS
print(sum(sum(kernel.stats.cache_hits.values()) for kernel, _ in KERNELS))
print(sum(sum(kernel.stats.cache_misses.values()) for kernel, _ in KERNELS))
print(dispatch.kernels().NAME)
print(len(compiling))
"""


def kept(directory, target=""):
    """Return (found, made, engine) from a new process, which has to say whether it compiles."""
    empty = not any(Path(directory).rglob("*"))
    run = subprocess.run(
        [sys.executable, "-c", TELL, str(directory), target], capture_output=True, text=True, check=True, cwd=ROOT
    )
    source, made, name, compiling = run.stdout.splitlines()
    assert bool(int(compiling)) == empty
    return int(source), int(made), name


@pytest.mark.parametrize("similarity", ["cosine", thorough("dot"), thorough("gaussian")])
def test_after_preparing_nothing_is_left_to_compile(tmp_path, similarity):
    from attention.kernels.cpu import KERNELS

    prepare()
    assert len(KERNELS) > 8
    made = {kernel: list(kernel.signatures) for kernel, _ in KERNELS}
    random = np.random.default_rng(0)
    memory = Memory(similarity, tmp_path)
    keys, values = (random.standard_normal((70_000, width), dtype=np.float32) for width in (400, 7))
    memory.publish(add=Rows(np.arange(70_000), keys, values))
    view = memory.publish(remove=np.arange(0, 70_000, 7))
    few, many = view.mask(np.arange(3000)), view.mask(np.arange(69_000))
    for mask in (None, few, many):
        for count in (1, 5, 17):
            questions = [Question(random.standard_normal(400), 0.3, mask=mask) for _ in range(count)]
            answers(view, questions)
        answers(view, [Question(keys[0], 0.3, mask=mask, output=False, top_p=0.5)])
        answers(view, [Question(keys[0], Auto(9), mask=mask)])
        answers(view, [Question(keys[0], 0.3, mask=mask, normaliser="sparsemax")])
        sweep(view, Question(keys[0], 0.3, mask=mask), [0, 0.1, 1.0])
    for kernel, arguments in KERNELS:
        assert made[kernel][:1] == [tuple(arguments)], kernel
        assert kernel.signatures == made[kernel], kernel


@pytest.mark.thorough
def test_a_process_of_its_own_makes_it_and_the_next_one_finds_it(tmp_path):
    source, made, name = kept(tmp_path)
    assert (source > 8, made) == (True, 0)
    assert kept(tmp_path) == (source, 0, name)


@pytest.mark.thorough
@pytest.mark.skipif(this_target() is None, reason="this processor is of no common kind")
def test_machine_code_can_be_made_for_another_kind_of_processor(tmp_path):
    own_target = this_target()
    other = next(target for target in TARGETS.values() if target.machine == own_target.machine and target != own_target)
    command = [sys.executable, "-m", "attention.kernels.machine_code", str(tmp_path), "--part", "lookup"]
    for target in (other, own_target):
        subprocess.run([*command, "--target", target.name], check=True, cwd=ROOT)
    folders = list((tmp_path / "kernels").iterdir())
    assert len(folders) == 2
    files = {file.name for file in folders[0].iterdir()}
    assert files == {file.name for file in folders[1].iterdir()}
    assert kept(tmp_path)[:2] == (len(files), 0)


def test_for_every_kind_of_this_family_a_process_is_run(tmp_path, monkeypatch):
    """The module goes by another name here, as under `python -m`."""
    commands = []
    monkeypatch.setattr(sys, "argv", [machine_code.__file__, str(tmp_path), "--every-target"])
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    runpy.run_path(machine_code.__file__, run_name="__main__")
    monkeypatch.undo()
    targets = [target.name for target in targets_of(platform.machine())]
    assert [command[-3:] for command in commands] == [[str(tmp_path), "--target", name] for name in targets]
    for command in commands[:1]:
        subprocess.run([*command, "--help"], check=True, cwd=ROOT)


def test_an_encoder_that_waits_in_vain_does_so_once(monkeypatch):
    monkeypatch.setattr(machine_code, "_numpy_encodes", False)  # and afterwards what it was
    chosen = dispatch._chosen
    machine_code.use_numpy_until_ready()
    try:
        assert not machine_code.transformer_ready(0.01)
        assert machine_code._transformer_settled.is_set()
    finally:
        dispatch.use_kernels(chosen)


MAKE = """
import sys
from pathlib import Path
from attention.kernels import machine_code
started = machine_code.subprocess.Popen
def told(*arguments, **named):
    child = started(*arguments, **named)
    print(child.pid, flush=True)
    return child
machine_code.subprocess.Popen = told
machine_code.prepare(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_compiling_process_ends_with_its_parent(tmp_path, number):
    asking = subprocess.Popen([sys.executable, "-c", MAKE, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT)
    child = int(asking.stdout.readline())
    asking.send_signal(number)
    asking.wait()
    asking.stdout.close()
    while running(child):
        time.sleep(0.01)


def running(process):
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


STOP = """
import sys
from pathlib import Path
from threading import Thread
from attention.kernels import machine_code
def prepare():
    try:
        machine_code.prepare(Path(sys.argv[1]))
    except InterruptedError as error:
        print(error)
thread = Thread(target=prepare)
thread.start()
while not machine_code._children:
    pass
machine_code.stop()
thread.join()
"""


def test_a_stop_ends_the_preparing_with_an_error_and_makes_nothing_here(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", STOP, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "stop() was called" in run.stdout
    assert not list(tmp_path.glob("kernels/*/attention*"))


@pytest.mark.thorough
def test_machine_code_is_made_in_a_temporary_directory_if_the_cache_is_not_writable(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    source, made, _ = kept(blocked / "cache")
    assert (source > 8, made) == (True, 0)


NAMES = ["avx2", "avxvnni", "avx512-vnni", "amx", "aarch64", "aarch64-dotprod", "aarch64-i8mm"]


def test_there_is_a_kind_for_every_instruction_that_multiplies_bytes():
    assert TARGETS.keys() >= set(NAMES)
    features = {feature for target in TARGETS.values() for feature in target.features}
    assert features.issuperset(INSTRUCTIONS)


def test_a_machine_has_kinds_of_its_own_family_the_best_first():
    assert [target.name for target in targets_of("aarch64")] == ["aarch64-i8mm", "aarch64-dotprod", "aarch64"]
    assert {target.machine for target in targets_of("x86_64")} == {"x86_64"}
    assert targets_of("riscv64") == []
    for machine in ("x86_64", "aarch64"):
        sizes = [len(target.features) for target in targets_of(machine)]
        assert sizes == sorted(sizes, reverse=True)


def test_this_processor_is_of_the_best_kind_whose_features_it_has():
    target, has = this_target(), llvm.get_host_cpu_features()
    if platform.machine() == "x86_64":
        able = [kind for kind in targets_of("x86_64") if all(has.get(feature) for feature in kind.features)]
        assert target == (able[0] if able else None)


@pytest.mark.parametrize("name", NAMES)
def test_the_compiler_knows_every_feature(name, capfd):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = TARGETS[name]
    triple = f"{target.machine}-unknown-linux-gnu"
    llvm.Target.from_triple(triple).create_target_machine(cpu=target.processor, features=target.flags)
    assert "not a recognized" not in capfd.readouterr().err


def test_features_that_the_compiler_does_not_report_are_read_from_cpuinfo(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nFeatures : fp asimd asimddp i8mm\n")
    assert machine_code._features_of_linux(cpuinfo) == {"dotprod", "i8mm"}
    assert machine_code._features_of_linux(tmp_path / "none") == set()
