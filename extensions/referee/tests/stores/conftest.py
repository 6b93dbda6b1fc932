"""Stores with real indexes, and `softkv check-index` in the environment that has their clients."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.examples import ROOT

PYTHON = ROOT / ".venv-integrations" / "bin" / "python"
ROWS, WIDTH, QUESTIONS = 3000, 16, 100


@dataclass(frozen=True)
class Checked:
    """A run of `softkv check-index`: its exit code, its JSON if it has a report, and its messages."""

    code: int
    report: dict[str, Any]
    messages: str

    @property
    def faults(self) -> dict[str, str]:
        """The texts of the faults, by their codes."""
        return {fault["code"]: fault["text"] for fault in self.report["summary"]["faults"]}


Check = Callable[..., Checked]


@pytest.fixture(scope="session")
def vectors() -> NDArray[np.float32]:
    """Vectors around forty centres."""
    random = np.random.default_rng(7)
    centres = random.standard_normal((40, WIDTH))
    return (centres[random.integers(0, 40, ROWS)] + random.standard_normal((ROWS, WIDTH)) / 2).astype(np.float32)


@pytest.fixture(scope="session")
def questions(vectors: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of vectors near some of the rows."""
    random = np.random.default_rng(8)
    path = tmp_path_factory.mktemp("questions") / "questions.npy"
    np.save(path, vectors[::30] + 0.1 * random.standard_normal((QUESTIONS, WIDTH)).astype(np.float32))
    return path


def script(code: str, folder: Path, **values: Any) -> str:
    """Run code with these values as globals, in the environment of the stores' clients, and return its output."""
    if not PYTHON.exists():
        pytest.skip("there is no .venv-integrations: make test-alone makes it")
    head = f"import json, numpy as np\nglobals().update(json.loads({json.dumps(values)!r}))\n"
    done = subprocess.run([PYTHON, "-c", head + code], cwd=folder, capture_output=True, text=True, check=False)
    if "No module named" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def check() -> Check:
    """Run `softkv check-index ARGUMENTS --json`."""

    def run(*arguments: str | Path) -> Checked:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SOFTKV_")}
        environment["PYTHONPATH"] = str(ROOT / "clients" / "python")
        done = subprocess.run(
            [PYTHON, "-m", "softkv", "check-index", *arguments, "--json"],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Checked(done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr)

    return run
