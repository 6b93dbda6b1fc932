"""The parts of NumPy's BLAS that code finds, in a separate process."""

from __future__ import annotations

import os
import subprocess
import sys


def with_two_blas_threads(code: str) -> str:
    """Run code where OpenBLAS starts with two threads → what it prints."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
