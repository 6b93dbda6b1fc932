"""Machine code, the lookup's and the Transformer's: loaded if it was kept, else made in processes of their own."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from attention.kernels import engine, in_numpy
from attention.kernels.targets import TARGETS, Target, targets_of, this_target

if TYPE_CHECKING:
    from attention.kernels.cpu import Compiled

logger = logging.getLogger(__name__)

LOOKUP, TRANSFORMER = "lookup", "transformer"
"""The parts, each of which is made by a process."""

MODULE = "attention.kernels.machine_code"
"""This module, which has another name where it is run."""

NICENESS = 10
"""Of these processes: whatever answers meanwhile goes first."""

_configuring, _loading = Lock(), Lock()
_children: set[subprocess.Popen[bytes]] = set()
_loads: set[Event] = set()
"""Of each load that is under way, whether it was stopped."""

_standing_in = False  # for the Transformer
_known = Event()  # the Transformer's machine code is there, or is known to take long
_known.set()


def stand_in() -> None:
    """Answer by NumPy until `prepare` is done, encode without machine code until `prepare_transformer` is.

    The same, slower, and nothing waits for a compiler.
    """
    global _standing_in
    engine.choose(in_numpy)
    _standing_in = True
    _known.clear()


def encodes(seconds: float = 0.0) -> bool:
    """Return whether to encode by machine code: always, but while something stands in for it.

    Args:
        seconds: how long to wait at most, once, while `prepare_transformer` loads what was kept. Nothing waits while it
            is made.
    """
    _known.wait(seconds)
    _known.set()
    return not _standing_in


def prepare(directory: Path | None = None, target: Target | None = None) -> None:
    """Have the lookup's machine code in memory, and answer by it from then on.

    It is loaded if it was kept; else a process makes it, in half a minute. For a program that is mostly this, as early
    as it can: if numba has begun to compile for this processor alone, it goes on so.

    Args:
        directory: where machine code is kept; None for the user's own.
        target: for which kind of processor; None for the one of `this_target`.

    Raises:
        InterruptedError: `stop` was called meanwhile.
    """
    if engine.can_compile():
        configure(directory, target)
        _load(LOOKUP, target)
    engine.choose(None)


def prepare_transformer(directory: Path | None = None, target: Target | None = None) -> None:
    """Have the Transformer's machine code in memory, too.

    Args:
        directory, target: as for `prepare`; the first of both calls decides.

    Raises:
        ImportError: there is no compiler, so there is no machine code.
        InterruptedError: `stop` was called meanwhile.
    """
    global _standing_in
    try:
        configure(directory, target)
        _load(TRANSFORMER, target)
        _standing_in = False
    finally:
        _known.set()


def stop() -> None:
    """End the processes that make machine code; each `prepare` and `prepare_transformer` under way raises."""
    for load in list(_loads):
        load.set()
    for child in list(_children):
        with suppress(OSError):
            child.kill()


def configure(directory: Path | None, target: Target | None = None) -> None:
    """Tell numba for which processor to compile, and say where to keep that, unless kernels are imported already.

    Args:
        directory, target: as for `prepare`.
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

        cache.keep_in(directory)
        import attention.kernels.cpu  # noqa: F401  (from now on it has begun)


def _kernels(part: str) -> Compiled:
    from attention.kernels import cpu

    if part == LOOKUP:
        engine.machine_code()
        return cpu.KERNELS
    from attention.kernels.transformer import encoding  # noqa: F401  (its functions are listed as it is imported)

    return cpu.TRANSFORMER


def _load(part: str, target: Target | None) -> None:
    """Load the kernels of a part, after a process has made what was not kept."""
    kernels, stopped = _kernels(part), Event()
    _loads.add(stopped)
    try:
        if not all(function._cache.holds(arguments) for function, arguments in kernels if not function.signatures):
            _known.set()
            _make_elsewhere(part, target, stopped)
        if stopped.is_set():
            raise InterruptedError("the machine code was not made: it was told to stop")
        with _loading:
            _compile(kernels)
    finally:
        _loads.discard(stopped)


def _compile(kernels: Compiled) -> None:
    for function, arguments in kernels:
        function.compile(arguments)


def _program() -> list[str]:
    """The command that runs `main` in a process that imports what this one does."""
    return [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path}; from {MODULE} import main; main()"]


def _make_elsewhere(part: str, target: Target | None, stopped: Event) -> None:
    """Have a process make a part; without it, or if it fails, the code is made here, beside all else."""
    from attention.kernels import cache

    directory = cache.folder().parent.parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError:
        directory = Path(tempfile.mkdtemp(prefix="softkv-machine-code-"))
        cache.keep_in(directory)
    command = [*_program(), str(directory), "--part", part, "--while-asked"]
    command += ["--target", target.name] if target is not None else []
    logger.info("making the %s's machine code, once", part)
    try:
        # The child ends when its input does, so also if this process is killed.
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    except OSError as error:
        logger.warning("no process can be started to make the %s's machine code: %s", part, error)
        return
    _children.add(child)
    try:
        if stopped.is_set():
            child.kill()
        if child.wait() != 0 and not stopped.is_set():
            logger.warning("the process that makes the %s's machine code ended with %d", part, child.returncode)
    finally:
        _children.discard(child)
        assert child.stdin is not None
        child.stdin.close()


def main(arguments: list[str] | None = None) -> None:
    """Make machine code and keep it in a directory."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=main.__doc__)
    parser.add_argument("directory", nargs="?", type=Path, help="the user's own, if it is not given")
    parser.add_argument("--target", choices=TARGETS, help="for another kind of processor of this machine's family")
    parser.add_argument("--part", choices=(LOOKUP, TRANSFORMER), help="only this")
    parser.add_argument("--every-target", action="store_true", help="for each kind of this machine's family in turn")
    parser.add_argument("--while-asked", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.every_target:
        import platform

        for target in targets_of(platform.machine()):
            command = [*_program(), *([str(chosen.directory)] if chosen.directory else [])]
            subprocess.run([*command, "--target", target.name], check=True)
        return
    if chosen.while_asked:
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
