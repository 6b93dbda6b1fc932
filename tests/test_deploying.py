"""The systemd units of docs/operate/deploying.md: their settings exist, and systemd accepts them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import Settings
from tests.examples import Page

PAGE = Page("docs/operate/deploying.md")
UNITS = dict(
    zip(
        re.findall(r"to `/etc/systemd/system/([\w.-]+)`", PAGE.prose),
        [text for language, text in PAGE.blocks if language == "ini"],
        strict=True,
    )
)
SERVE = UNITS["softkv.service"]


def test_the_unit_sets_settings_of_the_service() -> None:
    variables = dict(re.findall(r"^Environment=SOFTKV_(\w+)=(.+)$", SERVE, re.MULTILINE))
    settings = Settings.model_validate({name.lower(): value for name, value in variables.items()})
    assert settings.model_fields_set == {name.lower() for name in variables}
    assert settings.keyed
    assert not settings.allow_anonymous


def test_systemd_waits_for_the_service_to_stop() -> None:
    match = re.search(r"^TimeoutStopSec=(\d+)$", SERVE, re.MULTILINE)
    assert match is not None
    # docs/operate/lifecycle.md: the service exits within nine seconds.
    assert int(match[1]) > 9 + Settings().drain_seconds


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for name, text in UNITS.items():
        # `verify` demands that the program exists.
        (tmp_path / name).write_text(text.replace("/opt/softkv/bin/softkv", sys.executable), encoding="utf-8")
    command = ["systemd-analyze", "verify", *(str(tmp_path / name) for name in UNITS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
