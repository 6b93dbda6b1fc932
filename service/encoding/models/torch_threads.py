"""How many cores torch takes, which it has for the whole process."""

from __future__ import annotations


def use_threads(threads: int | None) -> None:
    """Have torch compute in so many threads; None leaves its own choice.

    Raises:
        ModuleNotFoundError: there is no torch.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
