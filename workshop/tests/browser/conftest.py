"""The workshop's pages in a browser. Its fixtures are those of the core, tests/browser/conftest.py."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if os.path.dirname(__file__) in str(item.path):
            item.add_marker(pytest.mark.browser)
