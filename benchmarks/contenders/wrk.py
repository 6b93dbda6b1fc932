"""wrk, a second caller of servers that speak HTTP: written in C, so the next question follows an answer at once.

The caller in Python takes a tenth of a millisecond from an answer to the next question. A server that still works then,
as on its log line, shows more answers a second to that caller than to this one.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.callers import PATIENCE, Address

SCRIPT = Path(__file__).with_suffix(".lua")


def is_installed() -> bool:
    """Return whether wrk is on the path."""
    return shutil.which("wrk") is not None


@dataclass(frozen=True)
class WrkCalls:
    """The calls that wrk made. `benchmarks.callers.Calls` explains the attributes."""

    answered: int
    errors: int
    seconds: float
    p50: float
    p99: float

    @property
    def a_second(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds

    def milliseconds_of(self, share: float) -> float | None:
        """Return the milliseconds in which this share of the calls was answered, .5 or .99; None without any."""
        return {0.5: self.p50, 0.99: self.p99}[share] if self.answered else None


def call_with_wrk(
    address: Address, requests: Sequence[bytes], connections: int, seconds: float, first: int = 0
) -> WrkCalls:
    """Send requests over several connections at once, as `benchmarks.callers.call`; in one thread.

    Calls in progress at the end are abandoned.

    Args:
        address: of the server.
        requests: the requests as bytes.
        connections: the number of connections.
        seconds: the duration, rounded up to whole seconds.
        first: the index of the first request to send.

    Raises:
        RuntimeError: wrk failed.
    """
    with tempfile.NamedTemporaryFile() as file:
        for request in requests:
            file.write(b"%d\n%s" % (len(request), request))
        file.flush()
        command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{math.ceil(seconds)}s"]
        command += ["--timeout", f"{PATIENCE:.0f}s", "--script", SCRIPT, f"http://{address[0]}:{address[1]}/", "--"]
        done = subprocess.run([*command, file.name, str(first)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    return WrkCalls(**json.loads(done.stdout.splitlines()[-1]))
