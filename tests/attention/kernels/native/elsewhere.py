"""The lookup's kernels in C for other kinds of processor and with other flags: libraries and programs of one kind."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from softkv_attention.kernels.in_c import SIGNATURES
from softkv_attention.kernels.native.build import FLAGS, HERE, KERNELS
from softkv_attention.kernels.native.kinds import KINDS, Kind, machine

FOLDER = Path(__file__).parent
BASE, ROOM = 0x20_0000_0000, 1 << 26
"""The address at which a program maps the memory that it shares, and the size of this memory in bytes."""

SOURCES = [str(HERE / f"{name}.c") for name in (*(name for name in KERNELS if name != "encoder"), "library")]

IMITATED = {
    "avx512": ("__AVX512BW__",),
    "avxvnni": ("__AVXVNNI__",),
    "avx512-vnni": ("__AVX512BW__", "__AVX512VNNI__"),
    "amx": ("__AVX512BW__", "__AVX512VNNI__", "__AMX_INT8__"),
}
"""Kinds of processor whose instructions `imitated/immintrin.h` has, and the macros that choose their code."""


class Call(ctypes.Structure):
    """A call that the program makes; `caller.c` declares the same structure."""

    _fields_ = (
        *(("function", ctypes.c_int64), ("result", ctypes.c_int64)),
        *(("integers", ctypes.c_int64 * 16), ("reals", ctypes.c_double * 2)),
    )


def kind_of(name: str) -> Kind:
    """Return the kind of processor of a name."""
    return next(kind for kind in KINDS if kind.name == name)


def library_for(directory: Path, name: str, *flags: str) -> Path:
    """Build a library for one kind of processor of this machine's family, and return its path."""
    kind, path = kind_of(name), directory / f"{name}.so"
    chosen = [f"-mcpu={kind.processor}", *flags]
    if name in IMITATED:
        macros = [f"-D{macro}" for macro in IMITATED[name]]
        chosen = ["-mcpu=x86_64_v3", *macros, f"-I{FOLDER / 'imitated'}", *flags]
    _compile(kind, path, "-shared", *chosen)
    return path


def program_for(directory: Path, name: str, *flags: str) -> list[str]:
    """Build a program that makes one call in memory that it shares, and return the command that runs it."""
    kind, path, source = kind_of(name), directory / name, directory / f"{name}.c"
    source.write_text(_calls(kind))
    about = [f"-mcpu={kind.processor}", f"-DSHARED_AT={BASE}", f"-DSHARED_BYTES={ROOM}", f'-DCALLS="{source}"']
    _compile(kind, path, "-static", *about, str(FOLDER / "caller.c"), *flags)
    return [str(path)] if kind.machine == machine() else ["qemu-aarch64", str(path)]


def _compile(kind: Kind, path: Path, *flags: str) -> None:
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", f"{kind.machine}-linux-none", "-nostdlib"]
    # library.c has memcpy and memset; with -fno-builtin their loops do not become calls of themselves.
    about = [f"-DKIND={kind.symbol}", "-fno-builtin", *flags, *SOURCES]
    subprocess.run([*zig, *FLAGS, *about, "-o", str(path)], check=True)


def _calls(kind: Kind) -> str:
    """Return C that calls function number `which` of SIGNATURES with integers and float64 from arrays."""
    types = {ctypes.c_double: "double"}
    lines = []
    for number, (name, (result, *arguments)) in enumerate(SIGNATURES.items()):
        function = f"softkv_{kind.symbol}_{name}"
        declared = ", ".join(types.get(argument, "int64_t") for argument in arguments)
        indices = {"double": iter(range(2)), "int64_t": iter(range(16))}
        passed = ", ".join(
            f"{'reals' if of == 'double' else 'integers'}[{next(indices[of])}]"
            for of in (types.get(argument, "int64_t") for argument in arguments)
        )
        call = f"{function}({passed})"
        returned = f"return {call};" if result else f"{call}; return 0;"
        lines.append(f"{'int64_t' if result else 'void'} {function}({declared});")
        lines.append(
            f"static int64_t call_{number}(const int64_t *integers, const double *reals) {{ (void)reals; {returned} }}"
        )
    table = ", ".join(f"call_{number}" for number in range(len(SIGNATURES)))
    return "\n".join(
        [*lines, f"static int64_t (*const functions[])(const int64_t *, const double *) = {{{table}}};", ""]
    )


class Shared:
    """Memory that this process shares with a program, for one call at a time; a `Place` for arrays.

    Args:
        command: what runs the program.
        file: an open file of ROOM bytes.
        kind: the kind of processor that the program is for.
    """

    amx = False

    def __init__(self, command: list[str], file: Any, kind: Kind) -> None:
        self.kind = kind
        self._command, self._file = command, file
        self._memory = np.memmap(file, dtype=np.uint8, mode="r+", shape=(ROOM,))
        self._call = Call.from_buffer(self._memory)
        self._used = ctypes.sizeof(Call)

    def take(self, size: int, alignment: int) -> tuple[int, np.ndarray]:
        """Return the address that `size` bytes have for the program, and the bytes."""
        first = self._used + -self._used % max(alignment, 64)
        self._used = first + size
        assert self._used <= ROOM
        return BASE + first, self._memory[first : first + size]

    def freeze(self) -> None:
        """Do nothing: the program maps its memory itself."""

    def check(self) -> None:
        """Take memory from the start again."""
        self._used = ctypes.sizeof(Call)

    def function(self, name: str, result: Any, *kinds: Any) -> Any:
        """Return a function of the program, as `Library.function` does."""
        number = list(SIGNATURES).index(name)

        def call(*arguments: Any) -> Any:
            pairs = list(zip(kinds, map(self._moved, arguments), strict=True))
            integers = [value for kind, value in pairs if kind is not ctypes.c_double]
            reals = [value for kind, value in pairs if kind is ctypes.c_double]
            self._call.function = number
            self._call.integers[: len(integers)], self._call.reals[: len(reals)] = integers, reals
            subprocess.run(self._command, stdin=self._file, check=True)
            return self._call.result if result else None

        return call

    def _moved(self, argument: Any) -> Any:
        """Return a number as it is, and the address of a copy of a structure."""
        structure = getattr(argument, "_obj", argument)
        if not isinstance(structure, bytes | ctypes.Structure):
            return argument or 0
        content = np.frombuffer(structure, dtype=np.uint8)
        address, memory = self.take(len(content), 8)
        memory[...] = content
        return address


@contextmanager
def shared(command: list[str], kind: str) -> Iterator[Shared]:
    """Share memory with a program for a kind of processor; each call is one process."""
    with tempfile.TemporaryFile() as file:
        file.truncate(ROOM)
        yield Shared(command, file, kind_of(kind))
