"""Tests of the core that are true of every store, to be run again on PostgreSQL."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any


def functions_with(fixture: str, *modules: str) -> Iterator[tuple[str, Any]]:
    """Yield name and function of each test in these modules of `tests.service` that takes a fixture."""
    names = set[str]()
    for module in modules:
        for name, test in vars(import_module(f"tests.service.{module}")).items():
            if name.startswith("test_") and fixture in inspect.signature(test).parameters:
                assert name not in names, f"{name} is in two modules: rename one"
                names.add(name)
                yield name, test
