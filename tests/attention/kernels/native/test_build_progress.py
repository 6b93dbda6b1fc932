"""A build of the kernels says how far it is, on the terminal that pip hides from it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import termios
from concurrent.futures import Future

from softkv_attention.kernels.native.build import HERE, report_progress


def test_every_ten_seconds_a_line_says_how_many_files_are_compiled() -> None:
    compiled = [Future[str]() for _ in range(5)]
    for future in compiled:
        future.set_result("compiled.o")
    lines = list[str]()
    report_progress(compiled, lines.append, iter([0.0, 6.0, 12.0, 18.0, 23.0, 40.0]).__next__)
    assert lines == [
        "softkv: kernels: 2 of 5 compiled, about 18 s left\n",
        "softkv: kernels: 4 of 5 compiled, about 6 s left\n",
    ]


def test_a_build_whose_output_is_hidden_writes_to_its_terminal() -> None:
    code = "from native.build import terminal\nwith terminal() as write: write('compiling')"
    master, slave = os.openpty()
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=HERE.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0),
        check=True,
    )
    assert os.read(master, 100) == b"compiling"
    for end in (master, slave):
        os.close(end)


def test_without_a_terminal_it_writes_to_standard_error() -> None:
    code = "from native.build import terminal\nwith terminal() as write: write('compiling')"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=HERE.parent, capture_output=True, start_new_session=True, check=True
    )
    assert ended.stderr == b"compiling"
