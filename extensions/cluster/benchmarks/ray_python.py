"""The Python that has Ray: that of `.venv-cluster`, beside the one that has all the rest."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

PYTHON = Path(__file__).parents[3] / ".venv-cluster" / "bin" / "python"


def with_ray(module: str) -> bool:
    """Continue with Ray: restart the module with the Python that has it, if this one lacks it.

    Returns:
        False if neither has it, after a message with advice.
    """
    if find_spec("ray") is not None:
        return True
    if PYTHON.exists():
        os.execv(PYTHON, [str(PYTHON), "-m", module, *sys.argv[1:]])
    print("Ray is not here: `make environments` makes one with it", file=sys.stderr)
    return False
