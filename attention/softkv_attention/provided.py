"""Modules of `softkv_attention` that other distributions have, under the names that they keep here."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

GROUP = "softkv.modules"
"""The group of entry points: each names a module of `softkv_attention`, and has the module that stands in for it."""


def provide(name: str, requirement: str) -> None:
    """Replace a module by the one that an installed distribution has for its name.

    Args:
        name: the module's name, such as softkv_attention.torch.
        requirement: what to install if no distribution has it.

    Raises:
        ImportError: no distribution has it, or a package that it needs is not installed.
    """
    for part in entry_points(group=GROUP, name=name):
        try:
            sys.modules[name] = part.load()
        except ModuleNotFoundError as error:
            message = f"{name} needs {error.name}, which is not installed: install `{requirement}`"
            raise ImportError(message, name=error.name) from error
        return
    raise ImportError(
        f"{name} is not installed: install `{requirement}`, in a checkout by `make wheels` and then "
        "`pip install dist/*.whl`",
        name=name,
    )
