"""The kinds of processors that the library has code for, and which of them this machine is."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass

_AVX2, _AVX512 = "x86_64_v3", "x86_64_v4-prefer_256_bit"

FEATURES = {"avx2": 1, "avx512": 2, "avx512-vnni": 4, "avxvnni": 8, "amx": 16}
"""Bits of what `softkv_features` in library.c returns."""


@dataclass(frozen=True)
class Kind:
    """A kind of processor.

    Attributes:
        name: the name shown to users.
        machine: x86_64 or aarch64.
        processor: zig's name of it.
        features: which of FEATURES it needs, or for ARM which of Linux's hardware capabilities.
        instruction: the instruction that multiplies bytes, as shown to users.
        wide: whether 16-bit numbers cost no more than 8-bit ones when bytes are multiplied.
        signed: whether stored codes are made signed before they are multiplied.
    """

    name: str
    machine: str
    processor: str
    features: tuple[str, ...]
    instruction: str
    wide: bool = False
    signed: bool = False

    @property
    def symbol(self) -> str:
        """The name as a part of the names of functions."""
        return self.name.replace("-", "_")


KINDS = (
    Kind("amx", "x86_64", f"{_AVX512}+avx512vnni+amx_tile+amx_int8+amx_bf16", ("avx512-vnni", "amx"), "VNNI"),
    Kind("avx512-vnni", "x86_64", f"{_AVX512}+avx512vnni", ("avx512", "avx512-vnni"), "VNNI"),
    Kind("avx512", "x86_64", _AVX512, ("avx512",), "AVX-512", wide=True),
    Kind("avxvnni", "x86_64", f"{_AVX2}+avxvnni", ("avx2", "avxvnni"), "AVX-VNNI"),
    Kind("avx2", "x86_64", _AVX2, ("avx2",), "AVX2", wide=True),
    Kind("i8mm", "aarch64", "generic+dotprod+i8mm", ("dotprod", "i8mm"), "I8MM"),
    Kind("dotprod", "aarch64", "generic+dotprod", ("dotprod",), "DotProd", signed=True),
    Kind("arm", "aarch64", "generic", (), "plain", wide=True),
)
"""Every kind, best first for each machine."""

_ARM_NAMES = {"dotprod": (16, 1 << 20), "i8mm": (26, 1 << 13)}
"""Linux's hardware capabilities of ARM: the number that `getauxval` is asked for, and the bit."""

_APPLE_NAMES = {"dotprod": b"hw.optional.arm.FEAT_DotProd", "i8mm": b"hw.optional.arm.FEAT_I8MM"}


def machine() -> str:
    """Return the family of this processor: x86_64, aarch64 or another value of `platform.machine()`."""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def this_platform() -> str:
    """Return the name of this platform, such as "linux-x86_64"; it may be one that the build does not know."""
    system = {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    family = {("macos", "aarch64"): "arm64", ("windows", "x86_64"): "amd64"}
    return f"{system}-{family.get((system, machine()), machine())}"


def features_of(bits: int) -> set[str]:
    """Return the names of the features that this processor has and that any kind needs.

    Args:
        bits: what the library's `softkv_features` returns.
    """
    if machine() != "aarch64":
        return {name for name, bit in FEATURES.items() if bits & bit}
    if sys.platform == "darwin":
        return {name for name, called in _APPLE_NAMES.items() if _apple_has(called)}
    if sys.platform != "linux":
        return set()
    capabilities = ctypes.CDLL(None).getauxval
    capabilities.restype, capabilities.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    return {name for name, (number, bit) in _ARM_NAMES.items() if capabilities(number) & bit}


def _apple_has(name: bytes) -> bool:
    value, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    system = ctypes.CDLL(None)
    return system.sysctlbyname(name, ctypes.byref(value), ctypes.byref(size), None, 0) == 0 and value.value == 1


def kinds_of(names: set[str]) -> list[Kind]:
    """Return the kinds whose code this processor can run, best first.

    Args:
        names: what `features_of` returns.
    """
    return [kind for kind in KINDS if kind.machine == machine() and names.issuperset(kind.features)]


def kinds_in(library: ctypes.CDLL, kinds: Iterable[Kind]) -> list[Kind]:
    """Return those of the kinds whose code a library holds; one of an editable installation holds not all."""
    return [kind for kind in kinds if hasattr(library, f"softkv_{kind.symbol}_accumulate")]
