"""Kinds of processors to compile for. Code for a kind runs on every processor of that kind."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

_AVX2 = (
    *("avx", "avx2", "bmi", "bmi2", "cmov", "crc32", "cx16", "cx8", "f16c", "fma", "fxsr", "lzcnt", "mmx", "movbe"),
    *("popcnt", "sahf", "sse", "sse2", "sse3", "sse4.1", "sse4.2", "ssse3", "xsave"),
)
_AVX512_VNNI = (*_AVX2, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512vnni")
_ARM = ("fp-armv8", "neon")

_LINUX_NAMES = {"asimddp": "dotprod", "i8mm": "i8mm"}
"""Linux's names of ARM features that LLVM does not detect on the host."""


@dataclass(frozen=True)
class Target:
    """A kind of processor.

    Attributes:
        name: the name shown to users.
        machine: the value of `platform.machine()`.
        processor: LLVM's name of the processor.
        features: LLVM's names of its features.
    """

    name: str
    machine: str
    processor: str
    features: tuple[str, ...]

    @property
    def flags(self) -> str:
        """The features as one string, in the form that LLVM reads.

        With AVX-512, it asks for 512-bit registers, which LLVM avoids by default.
        """
        flags = [f"+{feature}" for feature in self.features]
        return ",".join([*flags, "-prefer-256-bit"] if "avx512f" in self.features else flags)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make numba compile for this target in a new process."""
        return {"NUMBA_CPU_NAME": self.processor, "NUMBA_CPU_FEATURES": self.flags}


TARGETS = {
    target.name: target
    for target in (
        Target("amx", "x86_64", "x86-64-v4", (*_AVX512_VNNI, "avx512bf16", "amx-tile", "amx-int8", "amx-bf16")),
        Target("avx512-bf16", "x86_64", "x86-64-v4", (*_AVX512_VNNI, "avx512bf16")),
        Target("avx512-vnni", "x86_64", "x86-64-v4", _AVX512_VNNI),
        Target("avxvnni", "x86_64", "x86-64-v3", (*_AVX2, "avxvnni")),
        Target("avx2", "x86_64", "x86-64-v3", _AVX2),
        Target("aarch64-i8mm", "aarch64", "generic", (*_ARM, "dotprod", "i8mm")),
        Target("aarch64-dotprod", "aarch64", "generic", (*_ARM, "dotprod")),
        Target("aarch64", "aarch64", "generic", _ARM),
    )
}
"""Every target, best first for each machine. Other processors get code compiled for the host alone."""


def targets_of(machine: str) -> list[Target]:
    """Return the targets of a machine, best first.

    `machine` is a value of `platform.machine()`.
    """
    return [target for target in TARGETS.values() if target.machine == machine]


def this_target() -> Target | None:
    """Return the best target that this processor supports, or None if it supports none of them."""
    import llvmlite.binding as llvm

    features = {name for name, present in llvm.get_host_cpu_features().items() if present} | _features_of_linux()
    return next((target for target in targets_of(platform.machine()) if features.issuperset(target.features)), None)


def _features_of_linux(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    try:
        words = set(cpuinfo.read_text().split())
    except OSError:
        return set()
    return {feature for name, feature in _LINUX_NAMES.items() if name in words}
