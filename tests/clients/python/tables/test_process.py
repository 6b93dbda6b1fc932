"""The process that reads a file: the same rows as without it, no secrets, an end with its caller, and no other file."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import softkv
from softkv.answers.documents import TableRow
from softkv.tables import landlock_version, open_table
from softkv.tables.confinement import _PROCESSORS, filters_calls
from softkv.tables.process import reader_command, reader_environment, why_ended, write_line
from tests.clients.python.commands.test_load_tables import NAMED, SAVERS, frame
from tests.clients.python.tables import here
from tests.clients.python.tables.outside import save_xlsx
from tests.running import children_of
from tests.waiting import until

MODULE = "softkv.tables"
SECRET = "a key of another service"
SHOWN = ("name", "unit", "total", "columns", "settings", "notices", "keyless", "expired")


def exact(value: Any) -> Any:
    """A value with the type of each part, and the bits of each number."""
    match value:
        case np.ndarray():
            return value.dtype.str, value.shape, value.tobytes()
        case dict():
            return {name: exact(part) for name, part in value.items()}
        case list() | tuple():
            return list, [exact(part) for part in value]
    return type(value), repr(value)


def rows_of(table: Any) -> tuple[list[Any], list[Any]]:
    rows: list[TableRow] = list(table)
    assert all(type(row) is TableRow for row in rows)
    return [exact(tuple(row)) for row in rows], [getattr(table, name) for name in SHOWN]


def save_lines(path: Path) -> None:
    documents = [
        {"id": "a", "key_vector": [1, 0.1, -0.0], "metadata": {"big": 2**70, "wide": 2**64 - 1, "least": 5e-324}},
        {"id": 7, "key_vectors": [[1.5, 2]], "expires": "2001-01-01T00:00:00Z"},
        {"id": "a"},
        {"id": "c", "key": "\ud800 猫\r\n\u2028", "value": {"key_vector": {"": 1}, "": [None, True]}},
        {"id": "d", "key_vector": {"base64": "AACAPw=="}, "value_vector": {"": ["<f4", [2], False]}},
    ]
    path.write_text("".join(json.dumps(document) + "\n" for document in documents) + "[1]\nno JSON\n")


def save_arrow(path: Path) -> None:
    vectors = pa.array([[0.1, float("nan")], [1, 2]], pa.list_(pa.float32(), 2))
    instants = pa.array([1_782_895_800_000_000_001, None], pa.timestamp("ns", "Europe/Berlin"))
    columns = {
        "id": [1, 2],
        "key_vector": vectors,
        "at": instants,
        "value_vector": pa.array([[0.1, float("nan")], [1, 2]]),
    }
    pq.write_table(pa.table(columns | {"when": [datetime(2024, 1, 2, tzinfo=UTC), None]}), path)


def save_ids(path: Path) -> None:
    np.save(path, np.arange(6, dtype=">i2").reshape(2, 3))
    path.with_suffix(".ids.txt").write_text("cats\nchess\n")


MORE: dict[str, Any] = {
    "types.ndjson": save_lines,
    "types.parquet": save_arrow,
    "beside.npy": save_ids,
    "alone.npy": lambda path: np.save(path, np.asfortranarray(np.random.default_rng(0).random((3000, 100)))),
    "halves.npy": lambda path: np.save(path, np.array([[1, np.inf], [2, 3]], np.float16)),
    "none.npy": lambda path: np.save(path, np.zeros((0, 3))),
    "more.npz": lambda path: np.savez(
        path, id=np.array(["a", "b"]), key_vector=np.eye(2), value_vector=np.ones((2, 3, 1))
    ),
    "long.csv": lambda path: path.write_text("id,key\n" + "".join(f"{i},{'x' * 999}\n" for i in range(1000))),
}


@pytest.mark.parametrize("name", [*(f"frame.{ending}" for ending in SAVERS), *MORE])
def test_the_rows_are_those_of_a_reader_in_this_process(tmp_path: Path, name: str) -> None:
    path, options = tmp_path / name, NAMED if name.startswith("frame") else {}
    MORE[name](path) if name in MORE else SAVERS[name.partition(".")[2]](frame(30), path)
    table = open_table(path, **options)
    expected = rows_of(here.open_table(path, **options))
    assert rows_of(table) == expected
    assert rows_of(table) == expected  # by another process
    assert children_of(module=MODULE) == []


def test_without_a_process_the_file_is_read_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "books.csv").write_text("id,key\na,cats\n")
    for executable in ("", "/usr/bin/a-program-with-python-in-it", str(tmp_path / "python3")):
        monkeypatch.setattr(sys, "executable", executable)
        assert [row.document for row in open_table(tmp_path / "books.csv")] == [{"id": "a", "key": "cats"}]


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, int]]:
    """A file, and the process that has opened it and waits until its caller reads the rows."""
    monkeypatch.setenv("SOFTKV_API_KEYS", SECRET)
    path = tmp_path / "long.ndjson"
    path.write_text("".join(f'{{"id": "{i}", "value": "{"x" * 1000}"}}\n' for i in range(3000)))
    table = open_table(path)
    (process,) = children_of(module=MODULE)
    yield path, process
    del table
    gc.collect()
    assert children_of(module=MODULE) == []


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux shows the variables of a process")
def test_the_variables_of_the_process_have_no_secret(waiting: tuple[Path, int]) -> None:
    variables = Path(f"/proc/{waiting[1]}/environ").read_text().strip("\0").split("\0")
    names = {variable.partition("=")[0] for variable in variables}
    assert names <= {"PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "OPENBLAS_NUM_THREADS", "LC_CTYPE"}
    assert SECRET not in str(variables)


@pytest.mark.skipif(landlock_version() < 1, reason="this system has no Landlock")
def test_the_process_is_confined_while_it_reads(waiting: tuple[Path, int]) -> None:
    assert "\nNoNewPrivs:\t1\n" in Path(f"/proc/{waiting[1]}/status").read_text()  # which the confinement needs


@pytest.mark.skipif(landlock_version() < 1 or not filters_calls(), reason="this system has no Landlock or no seccomp")
@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow", "rows.ndjson.zst", "rows.csv", "rows.h5", "shards"])
def test_every_thread_of_the_process_is_confined(tmp_path: Path, name: str) -> None:
    """A library may start threads as it is imported, and Landlock confines those alone that start after it."""
    table = open_table(save_many(tmp_path / name))
    (process,) = children_of(module=MODULE)
    statuses = [task.read_text() for task in Path(f"/proc/{process}/task").glob("*/status")]
    del table
    gc.collect()
    assert len(statuses) > 1  # of the pipe's end, at least
    assert all("\nNoNewPrivs:\t1\n" in status for status in statuses), statuses
    assert all("\nSeccomp:\t2\n" in status for status in statuses), statuses


def save_many(path: Path) -> Path:
    """Write so many rows that a process which reads them waits for its caller."""
    vectors = np.random.default_rng(1).normal(size=(3000, 200))
    table = pa.table({"id": [str(number) for number in range(3000)], "key": ["x" * 1000] * 3000})
    lines = "".join(f'{{"id": "{number}", "key": "{"x" * 1000}"}}\n' for number in range(3000))
    match path.name:
        case "rows.parquet":
            pq.write_table(table, path)
        case "rows.arrow":
            with pa.ipc.new_file(path, table.schema) as file:
                file.write_table(table)
        case "rows.ndjson.zst":
            with pa.output_stream(path, compression="zstd") as file:
                file.write(lines.encode())
        case "rows.csv":
            path.write_text("id,key\n" + "".join(f"{number},{'x' * 1000}\n" for number in range(3000)))
        case "rows.h5":
            h5py = pytest.importorskip("h5py")
            with h5py.File(path, "w") as file:
                file["train"] = vectors
        case "shards":
            path.mkdir()
            pq.write_table(table[:1500], path / "1.parquet")
            pq.write_table(table[1500:], path / "2.parquet")
    return path


REFUSED = """
import ctypes, os, resource, socket, sys, threading
from softkv.tables.confinement import refuse_calls
libc = ctypes.CDLL(None, use_errno=True)
path = sys.argv[1]
file = os.open(path, os.O_RDONLY)
other = os.getppid()
near, far = socket.socketpair()
def call(function, *arguments):
    if function(*arguments) < 0:
        raise PermissionError if ctypes.get_errno() == 1 else OSError(ctypes.get_errno(), "another error")
def limits(process):
    return lambda: resource.prlimit(process, resource.RLIMIT_CORE)
tried = {
    "read": lambda: open(path).read(),
    "pair": lambda: near.send(b"x"),
    "socket": lambda: socket.socket(socket.AF_UNIX),
    "inet": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "connect": lambda: near.connect(path),
    "chmod": lambda: os.chmod(path, 0o600),
    "fchmod": lambda: os.chmod(file, 0o600),
    "chown": lambda: os.chown(path, -1, -1),
    "lchown": lambda: os.lchown(path, -1, -1),
    "fchown": lambda: os.fchown(file, -1, -1),
    "times": lambda: os.utime(path, (1, 1)),
    "times of an open file": lambda: os.utime(file, (1, 1)),
    "attribute": lambda: call(libc.setxattr, path.encode(), b"user.softkv", b"x", 1, 0),
    "a pair, which sends to others": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
    "limits": limits(0),
    "limits of another process": limits(other),
    "priority": lambda: os.setpriority(os.PRIO_PROCESS, other, os.getpriority(os.PRIO_PROCESS, other)),
    "processors": lambda: os.sched_setaffinity(other, os.sched_getaffinity(other)),
    "signal": lambda: os.kill(other, 0),
    "signal to a thread": lambda: call(libc.tgkill, other, other, 0),
    "itself": lambda: call(libc.tgkill, os.getpid(), os.getpid(), 0),
    "shared memory": lambda: call(libc.shmget, 0, 1, 0o600),
    "semaphores": lambda: call(libc.semget, 0, 1, 0o600),
    "messages": lambda: call(libc.msgget, 0, 0o600),
    "queue": lambda: call(libc.syscall, {"x86_64": 240, "aarch64": 180}[os.uname().machine], b"softkv", 0),
}
def report():
    begin.wait()
    for name, attempt in tried.items():
        try:
            attempt()
            print(name)
        except PermissionError:
            pass
begin = threading.Event()
thread = threading.Thread(target=report)
thread.start()  # before the filter, which holds for all threads
refuse_calls()
begin.set()
thread.join()
report()
"""


@pytest.mark.skipif(not filters_calls(), reason="this system has no seccomp, or the filter does not know its processor")
def test_the_process_gets_no_socket_and_changes_no_mode_owner_or_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    path.chmod(0o640)
    before = path.stat()
    ended = subprocess.run([sys.executable, "-c", REFUSED, path], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["read", "pair", "limits", "itself"] * 2
    after = path.stat()
    assert (after.st_mode, after.st_mtime, after.st_uid) == (before.st_mode, before.st_mtime, before.st_uid)


@pytest.mark.skipif(landlock_version() < 1, reason="this system has no Landlock")
def test_a_thread_that_started_before_is_named_and_nothing_is_read(tmp_path: Path) -> None:
    script = """
import sys, threading
from pathlib import Path
from softkv.tables.confinement import open_only
end = threading.Event()
threading.Thread(target=end.wait).start()
try:
    open_only([Path(sys.argv[1])])
except OSError as error:
    print(error.strerror)
end.set()
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True, env=reader_environment()
    )
    assert ended.stdout == "it has 2 threads before it is confined, of a library or of a debugger\n"


def test_the_numbers_of_calls_are_those_of_this_system() -> None:
    """The kernel's own headers have the numbers, where they are installed."""
    headers = {
        "x86_64": ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"],
        "aarch64": ["/usr/include/asm-generic/unistd.h"],
    }
    names = re.compile(
        r"socket(pair)?|connect|f?chmod|fchmodat|[fl]?chown|fchownat|utimes?|futimesat|utimensat|[fl]?(set|remove)xattr"
        r"|ptrace|pidfd_getfd|process_vm_(read|write)v|io_uring_(setup|enter|register)"
        r"|setpriority|sched_set\w+|ioprio_set|t?kill|rt_(tg)?sigqueueinfo|pidfd_send_signal"
        r"|(shm|sem|msg)(get|ctl|at|dt|op|timedop|rcv|snd)|(add|request)_key|keyctl|mq_(open|unlink)"
    )
    for machine, paths in headers.items():
        for path in (Path(one) for one in paths if Path(one).exists()):
            pattern = r"#define __NR(?:3264)?_(\w+)[ \t]+(\d+)"
            numbers = {name: int(number) for name, number in re.findall(pattern, path.read_text())}
            expected = {number for name, number in numbers.items() if names.fullmatch(name)}
            assert expected <= set(_PROCESSORS[machine].refused), machine
            assert (numbers["prlimit64"], numbers["tgkill"]) == _PROCESSORS[machine].own


CALLER = """
import sys
from softkv.tables import open_table
table = open_table(sys.argv[1])
print("open", flush=True)
input()
"""


def test_the_process_ends_with_its_caller(waiting: tuple[Path, int]) -> None:
    caller = subprocess.Popen([sys.executable, "-c", CALLER, waiting[0]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == b"open\n"
        (process,) = children_of(caller.pid, module=MODULE)
        caller.kill()
    until(lambda: not Path(f"/proc/{process}").exists() or "\nState:\tZ" in Path(f"/proc/{process}/status").read_text())


def read(path: Path, **order: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the process that reads a file by an order, until it ends by itself."""
    order = {"folder": str(path.parent), "file": path.name, "reading": {"needs": "rows"}} | order
    order = {"ids": None, "lines": None, "mark": None, "line_bytes": 10**6, "memory_bytes": None, "seconds": 60} | order
    with subprocess.Popen(
        reader_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=reader_environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(write_line(order))
        process.stdin.flush()
        return subprocess.CompletedProcess([], process.wait(60), process.stdout.read(), process.stderr.read())


def test_a_process_that_ended_early_is_named(tmp_path: Path) -> None:
    path = tmp_path / "long.ndjson"
    path.write_text("".join(f'{{"id": "{i}", "value": "{"x" * 1000}"}}\n' for i in range(3000)))
    rows = iter(open_table(path))
    next(rows)
    (process,) = children_of(module=MODULE)
    os.kill(process, signal.SIGKILL)
    with pytest.raises(softkv.Invalid, match=r"long\.ndjson needs more than [\d,]+ bytes of memory, or it is damaged"):
        list(rows)


def test_a_sheet_that_reaches_far_beyond_its_data_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    save_xlsx(tmp_path / "books.xlsx", "</row><row r='200000'><c r='Z200000'><v>1</v></c>")
    assert b'"done":true' not in read(tmp_path / "books.xlsx", memory_bytes=128 << 20).stdout
    assert b'"done":true' in read(tmp_path / "books.xlsx", memory_bytes=1 << 30).stdout
    assert "delete the empty rows and columns" in why_ended(
        {"file": "books.xlsx", "memory_bytes": 128 << 20, "seconds": None, "advice": "…"}
    )


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such limit")
def test_the_time_of_the_clock_is_limited(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "books.csv")  # opening it would wait for a writer; the caller's own check refuses it
    script = "import os, sys; from softkv.tables.confinement import limit; limit(None, 1); open(sys.argv[1])"
    ended = subprocess.run([sys.executable, "-c", script, tmp_path / "books.csv"], timeout=60, check=False)
    assert ended.returncode == -signal.SIGALRM
    with pytest.raises(softkv.Invalid, match="is not there"):
        open_table(tmp_path / "books.csv")


@pytest.mark.skipif(landlock_version() < 1, reason="this system has no Landlock")
def test_the_process_can_open_no_other_file(tmp_path: Path) -> None:
    script = """
import os, socket, sys, threading
from pathlib import Path
from softkv.tables.confinement import open_only
tried = {
    "named": lambda: open(sys.argv[1]).read(),
    "other": lambda: open(sys.argv[2]).read(),
    "environment": lambda: open("/proc/self/environ").read(),
    "parent": lambda: open(f"/proc/{os.getppid()}/environ").read(),
    "folder": lambda: os.listdir(os.path.dirname(sys.argv[2])),
    "write": lambda: open(sys.argv[1], "w"),
    "new": lambda: open(sys.argv[2] + ".new", "w"),
    "remove": lambda: os.unlink(sys.argv[2]),
    "library": lambda: __import__("colorsys"),
}
def report():
    for name, call in tried.items():
        try:
            call()
            print(name)
        except PermissionError:
            pass
open_only([Path(sys.argv[1])])
thread = threading.Thread(target=report)
thread.start()
thread.join()
"""
    named, other = tmp_path / "named", tmp_path / "other"
    named.write_text("x")
    other.write_text(SECRET)
    ended = subprocess.run(
        [sys.executable, "-c", script, named, other],
        capture_output=True,
        text=True,
        check=True,
        env=reader_environment(),
    )
    assert ended.stdout.split() == ["named", "library"]
    assert other.read_text() == SECRET
