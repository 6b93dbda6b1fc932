"""The tests of the workshop have the fixtures of the core's tests, of its browser and of its commands."""

from __future__ import annotations

pytest_plugins = ["tests.conftest", "tests.browser.conftest", "tests.service.commands.conftest"]
