"""The lookup's machine code, loaded or made while the service already answers."""

from __future__ import annotations

import gc
from pathlib import Path

import structlog

from attention.lookup import prepare, stand_in

log = structlog.get_logger("softkv")


class MachineCode:
    """Until it is ready NumPy answers, more slowly; it stays so where there can be no machine code."""

    def __init__(self, directory: Path) -> None:
        self.ready = False
        self._directory = directory
        stand_in()

    def load(self) -> None:
        """Load what is kept in the directory, make the rest; blocks."""
        try:
            prepare(self._directory)
        except (OSError, RuntimeError, ImportError) as error:
            log.warning("the lookup has no machine code and runs on NumPy, slower", reason=str(error))
        gc.collect()
        # Else everyone waits for a tenth of a second, again and again, while the compiler's objects are walked through.
        gc.freeze()
        self.ready = True
