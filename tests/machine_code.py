"""Make machine code before test processes share it: `python -m tests.machine_code`, as `make test` does.

Otherwise each of them compiles all of it, a minute of processor time.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from attention.kernels import prepare, prepare_transformer
from service.settings import Settings

KEPT = Settings().cache_dir
"""Where this user's services keep it."""


def main() -> None:
    """Compile the kernels of the lookup and of the Transformer side by side."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        parts = [pool.submit(part, KEPT) for part in (prepare_transformer, prepare)]
        for part in parts:
            part.result()


if __name__ == "__main__":
    main()
