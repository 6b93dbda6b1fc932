"""Build the library of kernels with the package `ziglang`: `python -m native.build` in the folder
attention/softkv_attention/kernels.

Run in that way it imports nothing but Python's own library, as a build of a wheel needs. One library serves every
Python of a platform. It holds the code for every kind of processor of the platform, and needs neither the C library nor
a system compiler. An editable installation needs only the code for the processor that compiles it.

In a checkout of the repository a library is compiled once, into `dist/kernels/`. Its name there has a digest of all it
is made from. Environments and wheels copy it from there. An image compiles its own.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .kinds import (  # noqa: TID252  (`softkv_attention` imports NumPy, which a build lacks)
    KINDS,
    Kind,
    features_of,
    kinds_in,
    kinds_of,
    this_platform,
)

HERE = Path(__file__).parent
COMPILER = "ziglang==0.17.1"
"""The requirement of pyproject.toml."""
KERNELS = ("keys", "values", "originals", "candidates", "exact", "scan", "gradients", "encoder")
"""C files that are compiled for every kind of processor."""
SECONDS_BETWEEN_LINES = 10.0

FLAGS = (
    *("-std=gnu17", "-O3", "-ffreestanding", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-fno-math-errno"),
    *("-fwrapv", "-fno-stack-protector", "-mno-stack-arg-probe", "-g0"),
    *("-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-Wno-unused-function"),
)


@dataclass(frozen=True)
class Platform:
    """An operating system on a family of processors.

    Attributes:
        target: zig's name of it.
        machine: the value of `platform.machine()`, in lower case.
        suffix: the suffix of the library, which Python does not take for a module.
        tag: the platforms of a wheel with the library.
        linking: flags of the linker.
    """

    target: str
    machine: str
    suffix: str
    tag: str
    linking: tuple[str, ...] = ()

    @property
    def kinds(self) -> list[Kind]:
        """The kinds of processors whose code the library holds."""
        return [kind for kind in KINDS if kind.machine == self.machine]


PLATFORMS = {
    "linux-x86_64": Platform(
        "x86_64-linux-none", "x86_64", ".so.1", "manylinux2014_x86_64.musllinux_1_1_x86_64", ("-Wl,-z,defs",)
    ),
    "linux-aarch64": Platform(
        "aarch64-linux-none", "aarch64", ".so.1", "manylinux2014_aarch64.musllinux_1_1_aarch64", ("-Wl,-z,defs",)
    ),
    "macos-arm64": Platform("aarch64-macos.11.0-none", "aarch64", ".dylib", "macosx_11_0_arm64"),
    "windows-amd64": Platform("x86_64-windows-gnu", "x86_64", ".dll", "win_amd64"),
}


def obtain(name: str, directory: Path, *, for_this_processor: bool = False) -> Path:
    """Put the library of a platform into a directory, and return its path.

    In a checkout it is a copy of the library that was compiled earlier, if nothing has changed since. Builds that run
    at once wait for each other, and one of them compiles.

    Args:
        name: a key of PLATFORMS.
        directory: an existing directory.
        for_this_processor: whether the code for other kinds of processors may be missing. The platform is then this
            one.

    Raises:
        ModuleNotFoundError: `ziglang` is not installed.
        subprocess.CalledProcessError: the compiler refuses a file; its messages are on standard error.
    """
    library, store = directory / f"softkv-kernels{PLATFORMS[name].suffix}", HERE.parents[3] / "dist" / "kernels"
    if not (HERE.parents[3] / "service" / "softkv_service" / "app.py").exists():  # the sources of softkv-core alone
        compile_library(name, library, PLATFORMS[name].kinds)
        return library
    store.mkdir(parents=True, exist_ok=True)

    def of(kinds: Sequence[Kind]) -> Path:
        return store / f"softkv-kernels-{_digest(name, kinds)}{PLATFORMS[name].suffix}"

    with _alone(store):
        kinds = PLATFORMS[name].kinds
        if for_this_processor and not of(kinds).exists():
            kinds = kinds_here()
        if not (compiled := of(kinds)).exists():
            compile_library(name, compiled, kinds)
        if not library.exists() or library.read_bytes() != compiled.read_bytes():
            with tempfile.TemporaryDirectory(dir=directory) as folder:
                shutil.copyfile(compiled, copy := Path(folder, library.name))
                copy.replace(library)  # a process that has loaded the former one keeps it
    return library


def kinds_here() -> list[Kind]:
    """Return the kinds of processors that a library for this processor alone holds; none if it has no kernels in C.

    That is the best one. Beside AMX it is the next, too, since Linux may refuse AMX to a process.

    Raises:
        ModuleNotFoundError: `ziglang` is not installed.
    """
    aim = PLATFORMS[this_platform()]
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, "probe")
        shared = ("-shared", "-nostdlib", *aim.linking, "-fno-builtin", str(HERE / "library.c"))
        subprocess.run([*_compiler(aim), *FLAGS, *shared, "-o", str(probe)], check=True)
        # A process of its own loads it: Windows deletes no library that this process has loaded.
        asking = f"import ctypes; print(ctypes.CDLL({str(probe)!r}).softkv_features())"
        answer = subprocess.run([sys.executable, "-c", asking], stdout=subprocess.PIPE, text=True, check=True)
    kinds = kinds_of(features_of(int(answer.stdout)))
    return kinds[: 2 if kinds and kinds[0].name == "amx" else 1]


def fits(directory: Path = HERE) -> bool:
    """Return whether the library in a directory has the best code for this processor, or none is there."""
    name = this_platform()
    if name not in PLATFORMS or not (path := directory / f"softkv-kernels{PLATFORMS[name].suffix}").exists():
        return True
    try:
        library = ctypes.CDLL(str(path))
    except OSError:
        return False
    best = kinds_of(features_of(library.softkv_features()))[:1]
    return kinds_in(library, best) == best


def _digest(name: str, kinds: Sequence[Kind]) -> str:
    """Return the digest of all that the library of a platform is made from."""
    digest = hashlib.sha256(f"{COMPILER} {name} {[kind.name for kind in kinds]}".encode())
    for path in sorted([*HERE.glob("*.[ch]"), HERE / "build.py", HERE / "kinds.py"]):
        content = path.read_bytes()
        digest.update(f" {path.name} {len(content)} ".encode() + content)
    return digest.hexdigest()[:16]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is in such a block for the folder. Windows does not wait: both then compile."""
    with (folder / ".lock").open("w") as file:
        with suppress(ModuleNotFoundError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _compiler(aim: Platform) -> list[str]:
    """Return the command that compiles C for a platform."""
    if find_spec("ziglang") is None:
        raise ModuleNotFoundError(f"Expected the package ziglang, which compiles C. Install {COMPILER}.")
    return [sys.executable, "-m", "ziglang", "cc", "-target", aim.target]


def compile_library(name: str, library: Path, kinds: Sequence[Kind]) -> None:
    """Compile the library of a platform, for these kinds of processors; the file is there when it is complete.

    Raises:
        ModuleNotFoundError: `ziglang` is not installed.
        subprocess.CalledProcessError: the compiler refuses a file; its messages are on standard error.
    """
    aim = PLATFORMS[name]
    zig = _compiler(aim)
    with (
        tempfile.TemporaryDirectory(dir=library.parent) as folder,
        ThreadPoolExecutor(os.cpu_count()) as pool,
        terminal() as write,
    ):
        jobs = [(folder, kind, source) for kind in kinds for source in KERNELS]
        duration = "one to three minutes" if len(kinds) > 2 else "half a minute"
        write(
            f"\nsoftkv: compiling the kernels in C, {len(jobs)} files, in {duration}, once for each version "
            "of them; SOFTKV_PLATFORM=any leaves them out, and NumPy answers, more slowly\n"
        )

        def compile_one(job: tuple[str, Kind, str]) -> str:
            folder, kind, source = job
            into = f"{folder}/{kind.symbol}-{source}.o"
            about = [f"-mcpu={kind.processor}", f"-DKIND={kind.symbol}"]
            subprocess.run([*zig, "-c", *FLAGS, *about, str(HERE / f"{source}.c"), "-o", into], check=True)
            return into

        compiled = [pool.submit(compile_one, job) for job in jobs]
        report_progress(compiled, write)
        objects = [future.result() for future in compiled]
        shared, built = f"{folder}/library.o", Path(folder) / "linked"
        command = [*zig, "-c", *FLAGS, "-fno-builtin", str(HERE / "library.c"), "-o", shared]
        subprocess.run(command, check=True)
        linking = ["-shared", "-nostdlib", "-s", *aim.linking, "-o", str(built)]
        subprocess.run([*zig, *linking, shared, *objects], check=True)
        built.replace(library)


def report_progress(
    compiled: Sequence[Future[str]], write: Callable[[str], object], clock: Callable[[], float] = time.monotonic
) -> None:
    """Write after every ten seconds how many files are compiled; return when all are.

    Args:
        compiled: the files.
        write: takes a line.
        clock: returns the time in seconds.
    """
    start = last = clock()
    for done, _ in enumerate(as_completed(compiled), 1):
        now = clock()
        if now - last >= SECONDS_BETWEEN_LINES and done < len(compiled):
            left = (now - start) / done * (len(compiled) - done)
            write(f"softkv: kernels: {done} of {len(compiled)} compiled, about {left:.0f} s left\n")
            last = now


@contextmanager
def terminal() -> Iterator[Callable[[str], object]]:
    """Yield a function that writes to the terminal, past pip, which hides what a build prints; or to standard error."""
    try:
        file = open("/dev/tty", "w", encoding="utf-8")  # noqa: SIM115
    except OSError:
        yield sys.stderr.write
        return
    with file:
        yield lambda line: print(line, end="", file=file, flush=True)


def main() -> None:
    """Build the library for this machine, or for the platforms that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m native.build", description=__doc__)
    parser.add_argument("platforms", nargs="*", help="this machine's by default")
    parser.add_argument("--into", type=Path, default=HERE, help="the directory of the library")
    parser.add_argument(
        "--fits", action="store_true", help="build nothing; fail if the library is for other processors"
    )
    chosen = parser.parse_args()
    if chosen.fits:
        sys.exit(not fits(chosen.into))
    names = chosen.platforms or [this_platform()]
    for name in names:
        sys.stdout.write(f"{obtain(name, chosen.into)}\n")


if __name__ == "__main__":
    main()
