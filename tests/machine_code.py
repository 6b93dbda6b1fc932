"""Make machine code before test processes share it: `python -m tests.machine_code`, as `make test` does.

Otherwise each of them compiles all of it, most of a minute of processor time.
"""

from __future__ import annotations

from threading import Thread

from attention.kernels import prepare, prepare_transformer
from attention.kernels.cache import default_directory

KEPT = default_directory()
"""The directory in which this user's services keep it."""


def main() -> None:
    """Make the kernels of the lookup and of the Transformer side by side."""
    parts = [Thread(target=part, args=(KEPT,)) for part in (prepare_transformer, prepare)]
    for part in parts:
        part.start()
    for part in parts:
        part.join()


if __name__ == "__main__":
    main()
