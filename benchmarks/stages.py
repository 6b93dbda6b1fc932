"""The time of one question in a quiet service by stages: from the socket to the lookup and back.

    python -m benchmarks.stages [--documents 1000 10000 100000] [--questions 3000] [--text] [--output] [--stacks DIR]

One keep-alive connection asks questions with vectors, each when the last is answered, and py-spy reads the stacks of
the service's threads a hundred times a second. `RULES` says to which stage a function belongs. /livez is the floor.

Processor time: Linux counts it for each thread. Samples of the thread that holds Python's lock (the GIL) share it among
stages; the rest is time in C without the lock. Wall time: samples of all threads inside a stage, running or waiting
there; stages of two threads may overlap. What is left of the caller's wait is "in between". Totals were measured
without py-spy, which slows the service; the columns are scaled to them.

`--text` asks with five words that the service encodes; `--output` also asks for the output; `--stacks` keeps the
samples, of which tools draw flame graphs; `--checkout` asks the service of another folder, with its own .venv.

py-spy comes with `pip install -e '.[bench]'`. It reads the memory of another process: that needs root, and in many
containers also the capability SYS_PTRACE. If it may not, nothing is measured.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.callers import Calls, Span, call
from benchmarks.contenders.documents import Documents, questions
from benchmarks.contenders.softkv import Softkv
from benchmarks.contenders.wire import Address, Http, get_of
from benchmarks.keys import near

LOOP, HAND_OVERS, OTHER = "HTTP, event loop", "hand-overs between threads", "other"
IN_LOOP = "the loop's thread in C: sockets, kernels"
WITHOUT_GIL = "other threads in C: kernels, SQLite, waking"
BETWEEN = "in between: waking threads, sockets"
RESTING = "resting"

# Stages with the files or folders of its functions, or single functions as "file:function". Of a stack, the function
# called last that has a rule decides; the longest rule holds for it. Functions of NumPy, contextlib and others without
# a rule count for their callers.
RULES: dict[str, Sequence[str]] = {
    LOOP: (
        "asyncio",
        "uvicorn",
        "service/server",
        "starlette/requests.py",
        "starlette/datastructures.py",
    ),
    "middleware": (
        "starlette/middleware",
        "starlette/applications.py",
        "fastapi/applications.py",
        "fastapi/middleware",
        "fastapi/telemetry",
        "service/api/middleware",
        "service/api/admission.py",
        "service/api/keyring.py",
        "service/api/shutdown.py",
    ),
    "routing": (
        "starlette/routing.py",
        "starlette/_exception_handler.py",
        "fastapi/routing.py",
        "service/api/routing.py",
        "service/api/state.py",
        "service/retrieval/collections/catalogue.py",
        "service/retrieval/collections/aliases.py",
    ),
    "reading and validating the body": (
        "pydantic",
        "fastapi/_compat",
        "service/api/body.py",
        "service/api/json.py:loads",
        "service/schemas",
        "service/retrieval/queries/defaults.py",
        "service/api/routes/attend.py:with_defaults",
    ),
    "planning the question": (
        "service/retrieval/queries",
        "service/retrieval/terms",
        "service/retrieval/collections",
        "service/retrieval/calibration",
    ),
    "encoding the text": ("service/encoding", "attention/transformer", "attention/kernels/transformer", "tokenizers"),
    HAND_OVERS: (
        "asyncio/futures.py",
        "asyncio/threads.py",
        "concurrent/futures",
        "queue.py",
        "threading.py",
        "service/scheduling.py",
        "service/retrieval/collections/lookup_queue.py",
        "attention/kernels/dispatch.py:run_in_parallel",
    ),
    "lookup": ("attention",),
    "reading documents": (
        "sqlite3",
        "service/storage",
        "service/retrieval/collections/snapshot.py",
        "service/retrieval/collections/collection.py:snapshot",
        "service/retrieval/queries/results.py:documents",
    ),
    "shaping the answer": (
        "service/retrieval/queries/results.py",
        "service/retrieval/queries/reason.py",
        "service/retrieval/queries/confidence.py",
        "service/api/document_json.py",
        "service/api/routes",
    ),
    "serialising": ("json", "orjson", "service/api/json.py"),
    "sending": (
        "starlette/responses.py",
        "service/api/json.py:__call__",
        "uvicorn/protocols/http/httptools_impl.py:send",
        "service/server/httptools_protocol.py:CoalescingTransport",
    ),
    "logging and metrics": (
        "logging",
        "structlog",
        "prometheus_client",
        "service/logs.py",
        "service/request_trace.py",
        "service/api/telemetry.py",
        "service/api/access_log.py",
        "service/api/middleware/access_record.py",
        "service/api/middleware/requests.py:report",
        "service/api/middleware/requests.py:complete_span",
        "service/api/middleware/requests.py:_log",
        "service/api/middleware/requests.py:_log_slow",
    ),
    # At the end of a stack: a thread without work, or the loop in C, which waits for sockets and reads them.
    RESTING: (
        "concurrent/futures/thread.py:_worker",
        "asyncio/runners.py",
        "service/server/process.py:_watch",
    ),
}
RATE = 100  # samples a second
QUERIES = 256
TEXTS = 20_000  # more than the service keeps the vectors of
WARMING = 1.0  # seconds
SETTLING = 0.7  # seconds until py-spy looks
MOST_SECONDS = 60.0
NO_RIGHT = """py-spy may not read the service's memory here, so nothing was measured: {reason}
Run this as root; in a container, give it the capability SYS_PTRACE (--cap-add SYS_PTRACE)."""


@dataclass(frozen=True)
class Profile:
    """The time of one request.

    Attributes:
        rate: requests a second, without py-spy, as all but the last two.
        latency: milliseconds that the caller waits, mean.
        median: the same, median.
        processor: milliseconds of the service's processor time a request.
        slowed: the rate with py-spy, as a share of that without.
        running: milliseconds of processor time of each stage.
        inside: milliseconds of threads in each stage.
    """

    rate: float
    latency: float
    median: float
    processor: float
    slowed: float
    running: Mapping[str, float]
    inside: Mapping[str, float]


Stack = tuple[str, ...]
LINE = re.compile(r"thread \((?P<thread>\d+|0x[0-9A-Fa-f]+)\)(?P<stack>.*) (?P<count>\d+)")


def stage_of(stack: Stack) -> str:
    """Return the stage of a stack of functions, each as py-spy writes it: "name (file:line)", the caller first."""
    for position, function in enumerate(reversed(stack)):
        stage = rule_for(function)
        if stage is not None and (stage != RESTING or position == 0):
            return stage
    return OTHER


def rule_for(function: str) -> str | None:
    """Return the stage of one function, None without a rule."""
    name, _, source = function.rpartition(" (")
    path, parts = "/" + source.rpartition(":")[0].removesuffix(".py") + "/", name.split(".")
    longest, stage_found = "", None
    for stage, rules in RULES.items():
        for rule in rules:
            file, _, part = rule.partition(":")
            if f"/{file.removesuffix('.py')}/" in path and (not part or part in parts) and len(rule) > len(longest):
                longest, stage_found = rule, stage
    return stage_found


def threads_of(lines: Sequence[str]) -> dict[int, Counter[Stack]]:
    """Return the samples of each thread by its stack, from lines of py-spy's raw format with threads.

    A line is "thread (1234): name;caller (file:line);called (file:line) 17"; 1234 is Linux's id of the thread. Other
    lines are left out: while the process goes on, py-spy sometimes reads a name that has just been overwritten.
    """
    threads: dict[int, Counter[Stack]] = {}
    for parts in filter(None, map(LINE.fullmatch, lines)):
        stack = parts["stack"].split(";")[1:]
        threads.setdefault(int(parts["thread"], 0), Counter())[tuple(stack)] += int(parts["count"])
    return threads


def share_processor(
    threads: Mapping[int, Counter[Stack]], busy: Mapping[int, float], samples: int, loop: int
) -> Mapping[str, float]:
    """Return the cores that each stage takes, in sum those of all threads.

    Args:
        threads: the samples of each thread while it held the GIL.
        busy: the cores of each thread, by Linux.
        samples: how often py-spy looked, whether a thread held the GIL or not.
        loop: the thread of the event loop.
    """
    stages: defaultdict[str, float] = defaultdict(float)
    for group, rest in (({loop}, IN_LOOP), (set(busy) - {loop}, WITHOUT_GIL)):
        shares: defaultdict[str, float] = defaultdict(float)
        for thread in group & threads.keys():
            for stack, count in threads[thread].items():
                stage = stage_of(stack)
                if stage == RESTING:
                    stage = LOOP if thread == loop else HAND_OVERS
                shares[stage] += count / samples
        cores = sum(busy[thread] for thread in group)
        # With other work on the machine, a thread may hold the GIL while it waits for a core.
        total = sum(shares.values())
        scale = min(1.0, cores / total) if total else 1.0
        for stage, share in shares.items():
            stages[stage] += share * scale
        stages[rest] += cores - total * scale
    return stages


def share_wall(threads: Mapping[int, Counter[Stack]]) -> Mapping[str, float]:
    """Return how much of the time a thread was in each stage, running or waiting; a thread at rest is in none.

    Each sample has all threads, so there are as many samples as the most frequent thread has.
    """
    stages: defaultdict[str, float] = defaultdict(float)
    frequency = max((samples.total() for samples in threads.values()), default=1)
    for samples in threads.values():
        for stack, count in samples.items():
            stage = stage_of(stack)
            if stage != RESTING:
                stages[stage] += count / frequency
    return stages


def thread_seconds(pid: int) -> dict[int, float]:
    """Return the processor seconds of each thread of a process."""
    return {
        int(folder.name): int((folder / "schedstat").read_text().split()[0]) / 1e9
        for folder in Path(f"/proc/{pid}/task").iterdir()
    }


class Profiler:
    """py-spy, of one process.

    Args:
        program: of py-spy.
        pid: the process.
        folder: where it writes.
    """

    def __init__(self, program: str, pid: int, folder: Path) -> None:
        self._program, self._pid, self._folder = program, pid, folder

    def check(self) -> None:
        """Return if it may read the process.

        Raises:
            PermissionError: it may not.
        """
        command = [self._program, "dump", "--pid", str(self._pid), "--nonblocking"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PermissionError(NO_RIGHT.format(reason=(done.stdout + done.stderr).strip()[-500:]))

    def profile(self, name: str, address: Address, requests: Sequence[bytes], count: int) -> Profile:
        """Send `count` requests without py-spy, and twice as many while it looks at running and at all threads."""
        call(address, Http(), requests, 1, Span(WARMING))
        first = self._call(address, requests, Span(WARMING))
        seconds = min(MOST_SECONDS, max(WARMING, count / first.a_second))
        before = sum(thread_seconds(self._pid).values())
        calls = self._call(address, requests, Span(seconds))
        processor = 1e3 * (sum(thread_seconds(self._pid).values()) - before) / len(calls.milliseconds)
        latency = fmean(calls.milliseconds)
        slow, holders, busy = self._sample(f"{name} GIL", address, requests, seconds, "--gil")
        _, everything, _ = self._sample(f"{name} all", address, requests, seconds, "--idle")
        shares = share_processor(holders, busy, RATE * round(seconds), self._pid)
        return Profile(
            rate=calls.a_second,
            latency=latency,
            median=median(calls.milliseconds),
            processor=processor,
            slowed=slow / calls.a_second,
            running={stage: processor * share / sum(shares.values()) for stage, share in shares.items()},
            inside={stage: 1e3 * share / calls.a_second for stage, share in share_wall(everything).items()},
        )

    def _call(self, address: Address, requests: Sequence[bytes], span: Span) -> Calls:
        calls = call(address, Http(), requests, 1, span)
        if calls.errors:
            raise RuntimeError(f"the service refused {calls.errors} requests, first with {calls.error[:300]!r}")
        return calls

    def _sample(
        self, name: str, address: Address, requests: Sequence[bytes], seconds: float, *options: str
    ) -> tuple[float, dict[int, Counter[Stack]], dict[int, float]]:
        """Return the rate, the samples of each thread and the cores that it took, while py-spy looked."""
        file = self._folder / f"{name}.txt"
        command = [self._program, "record", "--pid", str(self._pid), "--duration", str(round(seconds)), *options]
        command += ["--rate", str(RATE), "--format", "raw", "--threads", "--function", "--full-filenames"]
        command += ["--nonblocking", "--output", str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as looking:
            started, before = time.perf_counter(), thread_seconds(self._pid)
            calls = self._call(address, requests, Span(seconds, SETTLING))
            passed, after = time.perf_counter() - started, thread_seconds(self._pid)
            printed, _ = looking.communicate()
        if looking.returncode or not file.exists():
            raise RuntimeError(f"py-spy failed: {printed.strip()[-500:]}")
        busy = {thread: (total - before.get(thread, 0.0)) / passed for thread, total in after.items()}
        return calls.a_second, threads_of(file.read_text(encoding="utf-8", errors="replace").split("\n")), busy


def table_of(profiles: Mapping[str, Profile]) -> Table:
    """A row for each stage, with milliseconds of processor time and of wall time for each kind of request."""
    table = Table(title="milliseconds a request: processor time / wall time", box=box.MARKDOWN)
    table.add_column("", no_wrap=True)
    for name in profiles:
        table.add_column(name, justify="right", no_wrap=True)
    for stage in (IN_LOOP, *(stage for stage in RULES if stage != RESTING), WITHOUT_GIL, OTHER):
        pairs = [(profile.running.get(stage, 0.0), profile.inside.get(stage, 0.0)) for profile in profiles.values()]
        if any(running or inside for running, inside in pairs):
            table.add_row(stage, *(f"{milliseconds(running)} / {milliseconds(inside)}" for running, inside in pairs))
    waits = (profile.latency - sum(profile.inside.values()) for profile in profiles.values())
    table.add_row(BETWEEN, *(f"- / {wait:.3f}" for wait in waits))
    rows = {
        "a request": lambda profile: f"{profile.processor:.3f} / {profile.latency:.3f}",
        "median wait of the caller": lambda profile: f"{profile.median:.3f}",
        "the caller itself": lambda profile: f"{1e3 / profile.rate - profile.latency:.3f}",
        "requests a second": lambda profile: f"{profile.rate:,.0f}",
        "with py-spy": lambda profile: f"{profile.slowed:.0%}",
    }
    for title, cell in rows.items():
        table.add_row(title, *map(cell, profiles.values()))
    return table


def milliseconds(value: float) -> str:
    """Return microseconds as decimals, "-" for less than half of one."""
    return f"{value:.3f}" if value >= 0.0005 else "-"


def profiler_program() -> str:
    """Return the path of py-spy: beside this Python, or on the path of programs.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    program = shutil.which("py-spy", path=Path(sys.executable).parent) or shutil.which("py-spy")
    if program is None:
        raise ModuleNotFoundError("py-spy is not installed: pip install -e '.[bench]'")
    return program


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--questions", type=int, default=3000, help="a measurement, in at most a minute")
    parser.add_argument("--text", action="store_true", help="ask with texts")
    parser.add_argument("--output", action="store_true", help="ask for the output, too")
    parser.add_argument("--stacks", type=Path, help="where to keep the samples")
    parser.add_argument("--checkout", type=Path, help="the folder of another commit to measure")
    options = parser.parse_args()
    profiles: dict[str, Profile] = {}
    try:
        program = profiler_program()
        for count in options.documents:
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                stacks = options.stacks or folder
                stacks.mkdir(parents=True, exist_ok=True)
                fields = {"include": ["key", "value", "metadata", "output"]} if options.output else {}
                store = Softkv(folder / "data", encoder=options.text, checkout=options.checkout, fields=fields)
                stack.enter_context(store.server)
                store.wait_until_started()
                profiler = Profiler(program, store.pid, stacks)
                profiler.check()
                documents = Documents.of(count=count)
                store.fill(documents)
                store.server.wait_until_idle()
                vectors = near(documents.keys, QUERIES, 7)
                if options.text:
                    contender = store.asked_with(questions(TEXTS))
                else:
                    (contender,) = store.ways(vectors, [None])
                if not profiles:
                    floor = [get_of(contender.address, "/livez")]
                    profiles["/livez"] = profiler.profile("livez", contender.address, floor, options.questions)
                requests = contender.requests[None]
                profiles[f"{count:,}"] = profiler.profile(str(count), contender.address, requests, options.questions)
    except (ModuleNotFoundError, PermissionError) as error:
        print(error, file=sys.stderr)
        return 1
    kind = "text" if options.text else "vector"
    console = Console(width=160, markup=False, highlight=False)
    console.print(f"one connection, questions with a {kind}, by the number of documents")
    console.print(table_of(profiles))
    return 0


if __name__ == "__main__":
    sys.exit(main())
