"""Machine code is made before the first question waits for it, and kept for the next process."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from attention.kernels import engine, machine_code
from attention.kernels.machine_code import TARGETS, this_target
from attention.lookup import Auto, Memory, Question, Rows, answers, prepare, sweep

ROOT = Path(__file__).parents[3]

# What a process did to have every kernel: how many it found, and how many it made.
TELL = """
import sys
from pathlib import Path
from attention.kernels import engine
from attention.kernels.machine_code import TARGETS, prepare
prepare(Path(sys.argv[1]), TARGETS.get(sys.argv[2]))
from attention.kernels.cpu import KERNELS
print(sum(sum(kernel.stats.cache_hits.values()) for kernel, _ in KERNELS))
print(sum(sum(kernel.stats.cache_misses.values()) for kernel, _ in KERNELS))
print(engine.kernels().NAME)
"""


def kept(directory, target=""):
    """(found, made, engine) of a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", TELL, str(directory), target], capture_output=True, text=True, check=True, cwd=ROOT
    )
    found, made, name = run.stdout.splitlines()
    return int(found), int(made), name


def test_after_preparing_nothing_is_left_to_compile(tmp_path):
    from attention.kernels.cpu import KERNELS

    prepare()
    assert len(KERNELS) > 8
    made = {kernel: list(kernel.signatures) for kernel, _ in KERNELS}
    random = np.random.default_rng(0)
    for similarity in ("cosine", "dot", "gaussian"):
        memory = Memory(similarity, tmp_path)
        keys, values = (random.standard_normal((70_000, width), dtype=np.float32) for width in (400, 7))
        memory.publish(add=Rows(np.arange(70_000), keys, values))
        view = memory.publish(remove=np.arange(0, 70_000, 7))
        few, many = view.mask(np.arange(3000)), view.mask(np.arange(69_000))
        for mask in (None, few, many):
            for count in (1, 5, 17):
                asked = [Question(random.standard_normal(400), 0.3, mask=mask) for _ in range(count)]
                answers(view, asked)
            answers(view, [Question(keys[0], 0.3, mask=mask, output=False, top_p=0.5)])
            answers(view, [Question(keys[0], Auto(9), mask=mask)])
            answers(view, [Question(keys[0], 0.3, mask=mask, normaliser="sparsemax")])
            sweep(view, Question(keys[0], 0.3, mask=mask), [0, 0.1, 1.0])
    for kernel, arguments in KERNELS:
        assert made[kernel][:1] == [tuple(arguments)], kernel
        assert kernel.signatures == made[kernel], kernel


@pytest.mark.thorough
def test_the_next_process_finds_it(tmp_path):
    found, made, name = kept(tmp_path)
    assert (found, made > 8) == (0, True)
    again, anew, same = kept(tmp_path)
    assert (again, anew, same) == (made, 0, name)


@pytest.mark.thorough
@pytest.mark.skipif(this_target() is None, reason="this processor is of no common kind")
def test_it_can_be_made_for_another_kind_of_processor(tmp_path):
    own = this_target().name
    for name in (next(each for each in TARGETS if each != own), own):  # building the image makes it for all
        found, made, _ = kept(tmp_path, name)
        assert (found, made > 8) == (0, True)
    assert kept(tmp_path)[:2] == (made, 0)
    assert kept(tmp_path, own)[:2] == (made, 0)


# Who waits for what is kept, and not for what has to be made: what is said, and whether it was there by then.
WAIT = """
import os, sys
from pathlib import Path
from threading import Thread
from attention.kernels import encodes, prepare_transformer, stand_in
assert encodes()
stand_in()
preparing = Thread(target=prepare_transformer, args=(Path(sys.argv[1]),))
preparing.start()
print(encodes(600), preparing.is_alive(), flush=True)
if sys.argv[2] == "until it is made":
    preparing.join()
    print(encodes(), flush=True)
os._exit(0)
"""


def waited(directory, until=""):
    run = subprocess.run(
        [sys.executable, "-c", WAIT, str(directory), until], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return run.stdout.split()


def test_nobody_waits_for_the_transformers_machine_code_while_it_is_made(tmp_path):
    assert waited(tmp_path) == ["False", "True"]


@pytest.mark.thorough
def test_who_encodes_waits_while_it_is_loaded(tmp_path):
    assert waited(tmp_path, "until it is made") == ["False", "True", "True"]
    assert waited(tmp_path)[0] == "True"


def test_who_waits_in_vain_does_so_once(monkeypatch):
    monkeypatch.setattr(machine_code, "_standing_in", False)  # and afterwards what it was
    chosen = engine._chosen
    machine_code.stand_in()
    try:
        assert not machine_code.encodes(0.01)
        assert machine_code._told.is_set()
    finally:
        engine.choose(chosen)


def test_a_directory_that_can_only_be_read_is_copied(tmp_path):
    assert machine_code._writable(tmp_path) == tmp_path
    try:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], check=True, capture_output=True)
        (tmp_path / "kept").write_text("machine code")
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    try:
        copy = machine_code._writable(tmp_path)
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
    assert copy.parent == Path(tempfile.gettempdir())
    assert (copy / "kept").read_text() == "machine code"
    shutil.rmtree(copy)
