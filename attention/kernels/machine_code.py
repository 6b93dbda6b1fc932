"""Machine code, the lookup's and the Transformer's: made, or found where it was kept, before anybody waits for it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from attention.kernels import engine, in_numpy

if TYPE_CHECKING:
    from attention.kernels.cpu import Compiled

_AVX2 = (
    *("avx", "avx2", "bmi", "bmi2", "cmov", "crc32", "cx16", "cx8", "f16c", "fma", "fxsr", "lzcnt", "mmx", "movbe"),
    *("popcnt", "sahf", "sse", "sse2", "sse3", "sse4.1", "sse4.2", "ssse3", "xsave"),
)
_AVX512_VNNI = (*_AVX2, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512vnni")


@dataclass(frozen=True)
class Target:
    """A kind of processor that machine code is made for, so that it serves every one of the kind.

    Attributes:
        name: for people.
        processor: the compiler's name of it.
        features: what it has, by the compiler's names.
    """

    name: str
    processor: str
    features: tuple[str, ...]

    @property
    def flags(self) -> str:
        """The features as the compiler takes them; it would use half of AVX-512's registers by itself."""
        own = [f"+{feature}" for feature in self.features]
        return ",".join([*own, "-prefer-256-bit"] if "avx512f" in self.features else own)


_CONFIGURING = Lock()

TARGETS = {
    target.name: target
    for target in (
        Target("amx", "x86-64-v4", (*_AVX512_VNNI, "avx512bf16", "amx-tile", "amx-int8", "amx-bf16")),
        Target("avx512-bf16", "x86-64-v4", (*_AVX512_VNNI, "avx512bf16")),
        Target("avx512-vnni", "x86-64-v4", _AVX512_VNNI),
        Target("avx2", "x86-64-v3", _AVX2),
    )
}
"""The best first. A processor of none of these kinds has machine code made for itself alone."""


def this_target() -> Target | None:
    """The best kind that this processor is of; None for none of them."""
    import llvmlite.binding as llvm

    has = llvm.get_host_cpu_features()
    return next((each for each in TARGETS.values() if all(has.get(feature) for feature in each.features)), None)


_standing_in = False  # for the Transformer
_told = Event()  # its machine code is there, or is known to take long
_told.set()


def stand_in() -> None:
    """Answer by NumPy until `prepare` is done, encode without machine code until `prepare_transformer` is.

    The same, slower, and nobody waits for a compiler.
    """
    global _standing_in
    engine.choose(in_numpy)
    _standing_in = True
    _told.clear()


def encodes(seconds: float = 0.0) -> bool:
    """Whether to encode by machine code: always, but while something stands in for it.

    Args:
        seconds: how long to wait at most, once, while `prepare_transformer` loads what was kept. Nobody waits while it
            is made.
    """
    _told.wait(seconds)
    _told.set()
    return not _standing_in


def prepare(directory: Path | None = None, target: Target | None = None) -> None:
    """Have the lookup's machine code in memory, from where it was kept, else made in some seconds; then answer by it.

    For a program that is mostly this, as early as it can: where numba has begun to compile for this processor alone and
    to keep that elsewhere, it goes on so.

    Args:
        directory: where machine code is kept; None for numba's own choice. One that cannot be written to is copied.
        target: for which kind of processor; None for the one of `this_target`.
    """
    if engine.can_compile():
        configure(directory, target)
        engine.machine_code()
        from attention.kernels.cpu import KERNELS

        _compile(KERNELS)
    engine.choose(None)


def prepare_transformer(directory: Path | None = None, target: Target | None = None) -> None:
    """Have the Transformer's machine code in memory, too, from where it was kept, else made in half a minute.

    Args:
        directory, target: as for `prepare`; the first of both calls decides.

    Raises:
        ImportError: there is no compiler, so there is no machine code.
    """
    global _standing_in
    try:
        configure(directory, target)
        from attention.kernels.cpu import TRANSFORMER
        from attention.kernels.transformer import encoding  # noqa: F401  (its functions are listed as it is imported)

        with _telling():
            _compile(TRANSFORMER)
        _standing_in = False
    finally:
        _told.set()


@contextmanager
def _telling() -> Iterator[None]:
    """Tell who waits as soon as numba begins to compile, which it does where it finds nothing that was kept."""
    from numba.core import event

    class Begun(event.Listener):
        def on_start(self, event: Any) -> None:
            _told.set()

        def on_end(self, event: Any) -> None:
            pass

    with event.install_listener("numba:compile", Begun()):
        yield


def _compile(functions: Compiled) -> None:
    for function, arguments in functions:
        function.compile(arguments)


def configure(directory: Path | None, target: Target | None = None) -> None:
    """Tell numba where to keep machine code and for which processor, unless kernels are imported already.

    Args:
        directory, target: as for `prepare`.
    """
    from numba import config

    with _CONFIGURING:
        if "attention.kernels.cpu" in sys.modules:
            return
        settings: Any = config
        target = target or this_target()
        if directory is not None:
            settings.CACHE_DIR = str(_writable(directory))
        if target is not None and settings.CPU_NAME is None:
            settings.CPU_NAME, settings.CPU_FEATURES = target.processor, target.flags
        import attention.kernels.cpu  # noqa: F401  (from now on it has begun)


def _writable(directory: Path) -> Path:
    """The directory itself; or a temporary copy of it, for numba keeps nothing where it can only read."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return directory
    except OSError:
        copy = Path(tempfile.mkdtemp(prefix="softkv-machine-code-"))
        if directory.is_dir():
            shutil.copytree(directory, copy, dirs_exist_ok=True)
        return copy


def main() -> None:
    """`python -m attention.kernels.machine_code DIRECTORY [KIND]`: make machine code and keep it there."""
    directory, *kind = sys.argv[1:]
    for each in (prepare, prepare_transformer):
        each(Path(directory), TARGETS[kind[0]] if kind else None)


if __name__ == "__main__":
    main()
