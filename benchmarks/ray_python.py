"""The Python that has Ray: that of `make cluster`, beside the one that has all the rest."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

PYTHON = Path(__file__).parents[1] / ".venv-cluster" / "bin" / "python"


def with_ray(module: str) -> bool:
    """Go on with Ray: begin the module anew with the Python that has it, where this one has not.

    Returns:
        False where there is neither, with a word of what to do.
    """
    if find_spec("ray") is not None:
        return True
    if PYTHON.exists():
        os.execv(PYTHON, [str(PYTHON), "-m", module, *sys.argv[1:]])
    print("Ray is not here: `make cluster` has an environment with it", file=sys.stderr)
    return False
