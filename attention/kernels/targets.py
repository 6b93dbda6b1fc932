"""Kinds of processors that machine code is made for, so that it serves every processor of the kind."""

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
"""What Linux calls features of ARM processors of which the compiler does not say whether this one has them."""


@dataclass(frozen=True)
class Target:
    """A kind of processor.

    Attributes:
        name: for people.
        machine: as `platform.machine` says it.
        processor: the compiler's name of it.
        features: what it has, by the compiler's names.
    """

    name: str
    machine: str
    processor: str
    features: tuple[str, ...]

    @property
    def flags(self) -> str:
        """The features as the compiler takes them; it would use half of AVX-512's registers by itself."""
        flags = [f"+{feature}" for feature in self.features]
        return ",".join([*flags, "-prefer-256-bit"] if "avx512f" in self.features else flags)

    @property
    def environment(self) -> dict[str, str]:
        """The settings with which numba compiles for it in a process that is yet to start."""
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
"""The best of a machine first. A processor of none of these kinds has machine code made for itself alone."""


def targets_of(machine: str) -> list[Target]:
    """Return the kinds that a machine can have, the best first; `platform.machine()` names this one."""
    return [target for target in TARGETS.values() if target.machine == machine]


def this_target() -> Target | None:
    """Return the best kind that this processor is of; None for none of them."""
    import llvmlite.binding as llvm

    features = {name for name, present in llvm.get_host_cpu_features().items() if present} | _features_of_linux()
    return next((target for target in targets_of(platform.machine()) if features.issuperset(target.features)), None)


def _features_of_linux(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    try:
        words = set(cpuinfo.read_text().split())
    except OSError:
        return set()
    return {feature for name, feature in _LINUX_NAMES.items() if name in words}
