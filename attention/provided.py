"""Modules of `attention` that other distributions have, under the names that they keep here."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

GROUP = "softkv.modules"
"""The group of entry points: each names a module of `attention`, and has the module that stands in for it."""


def provide(name: str, requirement: str) -> None:
    """Replace a module by the one that an installed distribution has for its name.

    Args:
        name: the module's name, such as attention.torch.
        requirement: what to install if no distribution has it.

    Raises:
        ImportError: no distribution has it.
    """
    for part in entry_points(group=GROUP, name=name):
        sys.modules[name] = part.load()
        return
    raise ImportError(
        f"{name} is not installed: install `{requirement}`, in a checkout by `make wheels` and then "
        "`pip install dist/*.whl`",
        name=name,
    )
