"""Encoding by the sources in C for another kind of processor: by a program in an emulator, or with other flags."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
from ctypes import Structure, c_int64, c_void_p
from pathlib import Path

import numpy as np

from softkv_attention.aligned import LINE
from softkv_attention.kernels.native.build import FLAGS, HERE
from softkv_attention.kernels.native.kinds import KINDS, machine
from softkv_attention.kernels.transformer import in_c as structures
from softkv_attention.kernels.transformer.parameters import (
    SPARE,
    Activations,
    Design,
    Network,
    Scratch,
    room,
    scratch,
)

BASE, ROOM = 0x20_0000_0000, 1 << 24
"""Where the program maps its memory, and how many bytes."""


class Call(Structure):
    """What the program computes; `runner.c` has the same."""

    _fields_ = (
        *((name, c_int64) for name in ("size", "out_size", "way")),
        *((name, c_void_p) for name in ("network", "design", "texts", "room", "scratch")),
        *(("count", c_int64), ("stages", c_int64), ("out", c_void_p)),
    )


def built(directory: Path, kind_name: str, *flags: str) -> list[str]:
    """Build the program for a kind of processor, and return the command that runs it.

    Args:
        directory: where the program is written.
        kind_name: the name of one of KINDS. Processors of another machine are emulated.
        flags: further flags of the compiler.
    """
    kind, program = next(kind for kind in KINDS if kind.name == kind_name), directory / "runner"
    about = [f"-mcpu={kind.processor}", f"-DKIND={kind.symbol}", f"-DBASE={BASE}", f"-DROOM={ROOM}", f"-I{HERE}"]
    sources = [str(Path(__file__).with_name("runner.c")), str(HERE / "library.c")]
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", f"{kind.machine}-linux-none", "-static", "-nostdlib"]
    # library.c has memcpy and memset; with -fno-builtin their loops do not become calls of themselves.
    subprocess.run([*zig, *FLAGS, *flags, *about, "-fno-builtin", *sources, "-o", str(program)], check=True)
    return [str(program)] if kind.machine == machine() else ["qemu-aarch64", str(program)]


class Image:
    """The memory of the program, as it is before it starts."""

    def __init__(self) -> None:
        spare = np.zeros(ROOM + LINE, np.uint8)
        first = -spare.ctypes.data % LINE
        self._memory, self._used = spare[first : first + ROOM], 0
        self.take(ctypes.sizeof(Call))

    def take(self, size: int) -> np.ndarray:
        """Return the next `size` bytes of the memory."""
        first = self._used
        self._used += -(-size // LINE) * LINE
        assert self._used <= ROOM
        return self._memory[first : first + size]

    def put(self, array: np.ndarray) -> np.ndarray:
        """Return a copy of an array in the memory."""
        copy = self.take(array.nbytes).view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy

    def put_all(self, fields):
        """Return a tuple of arrays and numbers, such as `Network`, with copies of its arrays in the memory."""
        return fields._make(self.put(field) if isinstance(field, np.ndarray) else field for field in fields)

    def address(self, array: np.ndarray) -> int:
        """Return the address that an array in the memory has for the program."""
        return BASE + array.ctypes.data - self._memory.ctypes.data

    def place(self, structure: Structure, into: np.ndarray | None = None) -> int:
        """Write a structure into the memory, with addresses that the program has, and return its own."""
        self._move(structure)
        into = self.take(ctypes.sizeof(structure)) if into is None else into
        into[...] = np.frombuffer(structure, np.uint8)
        return self.address(into)

    def _move(self, structure: Structure) -> None:
        for name, kind in structure._fields_:
            value = getattr(structure, name)
            if isinstance(value, Structure):
                self._move(value)
            elif kind is c_void_p and value is not None and not BASE <= value < BASE + ROOM:
                setattr(structure, name, BASE + value - self._memory.ctypes.data)

    def finish(self, call: Call) -> bytes:
        """Return the memory in use, which begins with this call."""
        call.size = self._used
        self.place(call, self._memory[: ctypes.sizeof(call)])
        return self._memory[: self._used].tobytes()


def image_of(way: int, network: Network, design: Design, tokens, lengths, poolings) -> bytes:
    """Return the memory of a program that encodes texts with a network, stage after stage."""
    image, width = Image(), network.tokens.shape[1]
    activations: Activations = image.put_all(room(network, design, way, len(tokens), threads=2))
    if way == 0 and not design.norm_first:  # then they are the same memory, as in `room`
        activations = activations._replace(x=activations.read[0].view(np.float32))
    buffers: Scratch = image.put_all(scratch(network, design, way, len(tokens)))
    positions = np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    out = image.put(np.zeros((len(poolings), len(lengths), width), np.float32))
    assert activations.x.shape[0] == len(tokens) + SPARE
    arrays = [image.address(image.put(array)) for array in (tokens, positions, lengths, poolings)]
    texts = structures.TextsInC(*arrays, len(lengths), len(poolings))
    call = Call(
        out_size=out.nbytes,
        way=way,
        network=image.place(structures._network_in_c(image.put_all(network), design, way)),
        design=image.place(structures.design_in_c(design)),
        texts=image.place(texts),
        room=image.place(structures.Room(activations)._structure),
        scratch=image.place(structures.scratch_in_c(buffers)),
        count=len(tokens),
        stages=len(network.output_bias) + 2,
        out=image.address(out),
    )
    return image.finish(call)


def run(command: list[str], image: bytes) -> np.ndarray:
    """Return what the program writes, float32[n]. It fails if the program was killed, as by a trap."""
    done = subprocess.run(command, input=image, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.float32)


def is_emulated(kind_name: str) -> bool:
    """Return whether a kind of processor is not one of this machine's family."""
    kind = next(kind for kind in KINDS if kind.name == kind_name)
    return kind.machine != machine() or platform.system() != "Linux"
