"""The tests of walls have the fixtures of the core's tests, of its commands and of the lookup."""

from __future__ import annotations

pytest_plugins = ["tests.conftest", "tests.service.commands.conftest", "tests.attention.lookup.conftest"]
