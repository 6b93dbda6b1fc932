"""Kinds of processors: which one this is, and what code is compiled for each."""

from __future__ import annotations

import platform

import llvmlite.binding as llvm
import pytest

from attention.kernels import targets
from attention.kernels.dot import INSTRUCTIONS
from attention.kernels.targets import TARGETS, targets_of, this_target

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


def test_features_that_the_compiler_does_not_tell_are_those_of_linux(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nFeatures : fp asimd asimddp i8mm\n")
    assert targets._features_of_linux(cpuinfo) == {"dotprod", "i8mm"}
    assert targets._features_of_linux(tmp_path / "none") == set()
