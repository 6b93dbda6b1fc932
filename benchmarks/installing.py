"""Seconds that `make run` takes in a fresh clone until its first answer, and those of the first start after it.

    python -m benchmarks.installing [--before COMMIT] [--rounds 3] [--make UV=]

Clones take turns: of the checkout's last commit, and of an earlier one. The caches of pip and uv are as this user has
them, and the compiler of the kernels has an empty one. Processor time is that of all processes, so other work on the
machine changes it less than the clock. Then the service of the last clone starts with the demo collection `library`:
first under PYTHONDONTWRITEBYTECODE, later without, again and again in turns. Its processor time is that until the
answer.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx

from benchmarks import results
from benchmarks.running import free_port

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 1_800


def answer_from(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until a service on this port answers a question with the demo collection.

    Raises:
        SystemExit: the process ended without.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if client.post("/v1/collections/library/attend", json={"query": "pets that purr"}).is_success:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            time.sleep(0.05)
    raise SystemExit(f"{shlex.join(map(str, process.args))} ended before its first answer")  # type: ignore[arg-type]


def children() -> float:
    """Return the processor time of all processes that ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_first(folder: Path, commit: str, options: list[str]) -> tuple[float, float]:
    """Clone a commit into a folder and `make run` there; return the seconds until the first answer, clock and cores."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--detach", commit], cwd=folder, check=True)
    port = free_port()
    cache = str(folder.with_name(f"{folder.name}-compiler"))
    environment = os.environ | {"SOFTKV_PORT": str(port), "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
    began, before = time.monotonic(), children()
    command = ["make", "run", *options]
    with subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, stdout=2) as making:
        answer_from(making, port)
        waited = time.monotonic() - began
        os.killpg(making.pid, signal.SIGTERM)
        making.wait()
    return waited, children() - before


def start(checkout: Path, *, keeps_bytecode: bool) -> float:
    """Return the processor time of a service from its start to its first answer, in seconds."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if not keeps_bytecode:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    port, program = free_port(), str(checkout / ".venv" / "bin" / "softkv")
    with tempfile.TemporaryDirectory() as data:
        command = [program, "serve", "--port", str(port), "--data-dir", data, "--demo", "library"]
        with subprocess.Popen(command, cwd=data, env=environment, stderr=subprocess.DEVNULL) as service:
            answer_from(service, port)
            user, system = Path("/proc", str(service.pid), "stat").read_text().rpartition(")")[2].split()[11:13]
            service.terminate()
            service.wait()
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run what the command line asks for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", help="an earlier commit to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--make", nargs="*", default=[], metavar="OPTION", help="options of `make run`, such as UV=")
    options = parser.parse_args()
    now = results.commit(ROOT).split()[0]
    commits = [now, options.before] if options.before else [now]
    spent: dict[str, list[tuple[float, float]]] = {commit: [] for commit in commits}
    with tempfile.TemporaryDirectory() as temporary:
        for turn in range(options.rounds):
            for commit in commits:
                folder = Path(temporary, f"{commit}-{turn}")
                spent[commit].append(run_first(folder, commit, options.make))
        print(
            f"\n`make run {' '.join(options.make)}` in a fresh clone, medians of {options.rounds} in turns, load "
            f"{os.getloadavg()[2]:.0f}"
        )
        for commit, pairs in spent.items():
            waited, cores = (median(column) for column in zip(*pairs, strict=True))
            ratio = median(one[1] / base[1] for one, base in zip(pairs, spent[commits[-1]], strict=True))
            print(f"{commit:>12}  {waited:6.1f} s until the first answer  {cores:6.1f} s of cores  {ratio:.2f}×")
        checkout = Path(temporary, f"{now}-{options.rounds - 1}")
        without = [start(checkout, keeps_bytecode=False)]
        later = []
        for _ in range(2 * options.rounds):
            later.append(start(checkout, keeps_bytecode=True))
            without.append(start(checkout, keeps_bytecode=False))
    print("\nstarts of the new clone's service until the first answer, seconds of cores")
    base = median(later)
    for name, seconds in (
        ("the first, under PYTHONDONTWRITEBYTECODE", without[0]),
        ("later ones under it, median", median(without[1:])),
        ("later ones without it, median", base),
    ):
        print(f"{name:42}{seconds:5.2f}  {seconds / base:.2f}×")


if __name__ == "__main__":
    main()
