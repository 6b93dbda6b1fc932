"""The systemd units of docs/operate/deploying.md: their settings exist, and systemd accepts them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from softkv_service.settings import Settings
from tests.examples import ROOT, Page

PAGE = Page("docs/operate/deploying.md")
UNITS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docker" / "systemd").iterdir())}
SERVE = UNITS["softkv.service"]


S3 = "docs/operate/backups.md"


@pytest.mark.parametrize("unit", UNITS)
def test_the_page_installs_the_units_of_the_checkout(unit: str) -> None:
    assert re.search(rf"^install -m 644 .*docker/systemd/{unit} .*/etc/systemd/system/$", PAGE.text, re.MULTILINE)


def test_the_unit_sets_settings_of_the_service() -> None:
    variables = dict(re.findall(r"^Environment=SOFTKV_(\w+)=(.+)$", SERVE, re.MULTILINE))
    settings = Settings.model_validate({name.lower(): value for name, value in variables.items()})
    assert settings.model_fields_set == {name.lower() for name in variables}
    assert settings.keyed
    assert not settings.allow_anonymous


def test_systemd_waits_for_the_service_to_stop() -> None:
    match = re.search(r"^TimeoutStopSec=(\d+)$", SERVE, re.MULTILINE)
    assert match is not None
    # docs/operate/operating.md: the service exits within nine seconds.
    assert int(match[1]) > 9 + Settings().drain_seconds


def directives(unit: str) -> dict[str, str]:
    """Return the last value of each directive of a unit."""
    return dict(re.findall(r"^(\w+)=(.*)$", UNITS[unit], re.MULTILINE))


SERVICES = ["softkv.service", "softkv-backup.service"]


@pytest.mark.parametrize("unit", SERVICES)
def test_a_unit_that_cannot_succeed_ends_as_failed(unit: str) -> None:
    values = directives(unit)
    assert values["Restart"] == "on-failure"
    seconds = 15  # from a start to its failure, at most
    assert int(values["StartLimitBurst"]) * (int(values["RestartSec"]) + seconds) < int(values["StartLimitIntervalSec"])


def test_only_the_service_user_reads_documents_and_backups() -> None:
    assert {directives(unit)["UMask"] for unit in SERVICES} == {"0077"}
    assert directives("softkv.service")["StateDirectoryMode"] == "0750"


def test_the_backup_has_the_sandbox_of_the_service() -> None:
    service, backup = (directives(unit) for unit in SERVICES)
    sandbox = [name for name in service if re.match(r"NoNew|Protect|Private|Capab|Restrict|Lock|System", name)]
    assert len(sandbox) == 21
    assert {name: service[name] for name in sandbox} == {name: backup.get(name) for name in sandbox}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("copies", [False, True], ids=["alone", "with a copy to S3"])
def test_systemd_accepts_the_units(tmp_path: Path, copies: bool) -> None:
    texts = dict(UNITS)
    if copies:  # after the backup, of what it has written
        page = Page(S3)
        match = re.search(r"`/etc/systemd/system/(softkv-backup\.service\.d/s3\.conf)`", page.prose)
        directory = re.search(r"ReadWritePaths=(\S+)", UNITS["softkv-backup.service"])
        assert match is not None
        assert directory is not None
        [texts[match[1]]] = [text for language, text in page.blocks if language == "ini"]
        assert f" {directory[1]} s3:" in texts[match[1]]
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        # `verify` demands that the programs exist.
        written = re.sub("/opt/softkv/bin/softkv|/usr/bin/rclone", sys.executable, text)
        (tmp_path / name).write_text(written, encoding="utf-8")
    command = ["systemd-analyze", "verify", *(str(tmp_path / name) for name in UNITS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
