"""Loading of machine code, which child processes compile if it is not cached, and the processors that it is for.

The machine code has two parts, the lookup's and the Transformer's. Code for a kind of processor runs on every
processor of that kind.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from attention.kernels import dispatch, in_numpy

if TYPE_CHECKING:
    from attention.kernels.cpu import Compiled

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


logger = logging.getLogger(__name__)

LOOKUP, TRANSFORMER = "lookup", "transformer"
"""The two parts of the machine code. Each is compiled by a child process."""

MODULE = "attention.kernels.machine_code"
"""The name of this module, which is `__main__` when it is run."""

NICENESS = 10
"""The niceness of child processes, so that answers go first."""

_configuring, _loading = Lock(), Lock()
_children: set[subprocess.Popen[bytes]] = set()
_loads: set[Event] = set()
"""One event per load in progress, set to stop it."""

_numpy_encodes = False
_transformer_settled = Event()  # its machine code is loaded, or a child process has to compile it
_transformer_settled.set()


def use_numpy_until_ready() -> None:
    """Let NumPy answer and encode until machine code is loaded, so that no request waits for the compiler.

    Answers are slower but the same. `prepare` ends this for answers, `prepare_transformer` for encoding.
    """
    global _numpy_encodes
    dispatch.use_kernels(in_numpy)
    _numpy_encodes = True
    _transformer_settled.clear()


def transformer_ready(seconds: float = 0.0) -> bool:
    """Return whether to encode with machine code.

    It is False only after `use_numpy_until_ready`, until `prepare_transformer` is done.

    Args:
        seconds: how long to wait while `prepare_transformer` loads cached code. It never waits for compilation.
    """
    _transformer_settled.wait(seconds)
    _transformer_settled.set()
    return not _numpy_encodes


def prepare(
    directory: Path | None = None, target: Target | None = None, compiling: Callable[[], None] | None = None
) -> None:
    """Load the lookup's machine code, and answer with it from then on.

    If it is not cached, a child process compiles it, which takes half a minute. Call this before anything else uses
    numba: the target and the cache directory are fixed at the first compilation.

    Args:
        directory: the cache directory; None for `cache.default_directory()`.
        target: the kind of processor to compile for; None for `this_target()`.
        compiling: called before code is compiled, if it is not cached.

    Raises:
        InterruptedError: `stop` was called meanwhile.
    """
    if dispatch.can_compile():
        configure(directory, target)
        _load(LOOKUP, target, compiling)
    dispatch.use_kernels(None)


def prepare_transformer(
    directory: Path | None = None, target: Target | None = None, compiling: Callable[[], None] | None = None
) -> None:
    """Load the Transformer's machine code, and encode with it from then on. The library in C is there already.

    Args:
        directory, target: as in `prepare`; the first call of either function decides them.
        compiling: as in `prepare`.

    Raises:
        ImportError: numba is not installed.
    """
    global _numpy_encodes
    _numpy_encodes = False
    _transformer_settled.set()


def stop() -> None:
    """Kill the child processes that compile.

    Every `prepare` and `prepare_transformer` in progress raises InterruptedError.
    """
    for load in list(_loads):
        load.set()
    for child in list(_children):
        with suppress(OSError):
            child.kill()


def configure(directory: Path | None, target: Target | None = None) -> None:
    """Set the cache directory and the processor that numba compiles for.

    Do nothing if the kernels were already imported, because that fixes the processor.

    Args:
        directory, target: as in `prepare`.
    """
    from numba import config

    with _configuring:
        if "attention.kernels.cpu" in sys.modules:
            return
        settings: Any = config
        target = target or this_target()
        if target is not None and settings.CPU_NAME is None:
            settings.CPU_NAME, settings.CPU_FEATURES = target.processor, target.flags
        from attention.kernels import cache

        cache.set_directory(directory)
        import attention.kernels.cpu  # noqa: F401  (fixes the target)


def _kernels(part: str) -> Compiled:
    from attention.kernels import cpu

    if part == LOOKUP:
        dispatch.machine_code()
        return cpu.KERNELS
    return cpu.TRANSFORMER


def _load(part: str, target: Target | None, compiling: Callable[[], None] | None) -> None:
    """Load the kernels of a part, LOOKUP or TRANSFORMER.

    If some are not cached, call `compiling`, and a child process compiles them first.

    Raises:
        InterruptedError: `stop` was called meanwhile.
    """
    kernels, stopped = _kernels(part), Event()
    _loads.add(stopped)
    try:
        if not all(function._cache.holds(arguments) for function, arguments in kernels if not function.signatures):
            _transformer_settled.set()
            if compiling is not None:
                compiling()
            _compile_in_child(part, target, stopped)
        if stopped.is_set():
            raise InterruptedError("the machine code was not loaded: stop() was called")
        with _loading:
            _compile(kernels)
    finally:
        _loads.discard(stopped)


def _compile(kernels: Compiled) -> None:
    for function, arguments in kernels:
        function.compile(arguments)


def _program() -> list[str]:
    """Return a command that runs `main` in a new process with this process's import path."""
    return [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path}; from {MODULE} import main; main()"]


def _compile_in_child(part: str, target: Target | None, stopped: Event) -> None:
    """Compile a part, LOOKUP or TRANSFORMER, in a child process, and wait for its end.

    If the child fails, log a warning: this process then compiles the part when it loads it. If the cache directory is
    not writable, switch to a temporary directory.

    Args:
        target: the kind of processor to compile for; None for this process's choice.
        stopped: set by `stop`, which kills the child.
    """
    from attention.kernels import cache

    directory = cache.folder().parent.parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError:
        directory = Path(tempfile.mkdtemp(prefix="softkv-machine-code-"))
        cache.set_directory(directory)
    command = [*_program(), str(directory), "--part", part, "--while-asked"]
    command += ["--target", target.name] if target is not None else []
    logger.info("compiling the %s's machine code, once", part)
    try:
        # The child ends with its standard input, so it also ends if this process is killed.
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    except OSError as error:
        logger.warning("no process can be started to compile the %s's machine code: %s", part, error)
        return
    _children.add(child)
    try:
        if stopped.is_set():
            child.kill()
        if child.wait() != 0 and not stopped.is_set():
            logger.warning("the process that compiles the %s's machine code ended with %d", part, child.returncode)
    finally:
        _children.discard(child)
        assert child.stdin is not None
        child.stdin.close()


def main(arguments: list[str] | None = None) -> None:
    """Compile the machine code into a directory; the command line of a child process."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=main.__doc__)
    parser.add_argument("directory", nargs="?", type=Path, help="the cache directory; the user's own by default")
    parser.add_argument("--target", choices=TARGETS, help="another kind of processor of this machine's family")
    parser.add_argument("--part", choices=(LOOKUP, TRANSFORMER), help="only this part")
    parser.add_argument("--every-target", action="store_true", help="every kind of processor of this machine's family")
    parser.add_argument("--while-asked", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.every_target:
        for target in targets_of(platform.machine()):
            command = [*_program(), *([str(chosen.directory)] if chosen.directory else [])]
            subprocess.run([*command, "--target", target.name], check=True)
        return
    if chosen.while_asked:
        if hasattr(os, "nice"):
            os.nice(NICENESS)
        Thread(target=_end_with_input, daemon=True).start()
    configure(chosen.directory, TARGETS[chosen.target] if chosen.target else None)
    from attention.kernels import cache

    for part in (chosen.part,) if chosen.part else (TRANSFORMER, LOOKUP):
        _compile(_kernels(part))
    cache.prune()


def _end_with_input() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock the interpreter wants as it ends
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
