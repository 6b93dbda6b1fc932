"""The tests of the workshop have the fixtures of the core's tests, and of its commands."""

from __future__ import annotations

pytest_plugins = ["tests.conftest", "tests.service.commands.conftest"]
