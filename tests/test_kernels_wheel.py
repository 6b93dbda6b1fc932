"""`make kernels`: machine code in a wheel, which softkv loads on a matching machine and ignores on others."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import tomllib

import pytest
from numba import float64, int64
from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from attention.kernels import cache, cpu
from tests import kernels_wheel
from tests.examples import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
pytestmark = [pytest.mark.install, pytest.mark.end_to_end]


def doubled():
    """Return a kernel in the state of a new process."""

    @cpu.kernel(int64, float64, fastmath=False)
    def doubled(number, by):
        return 2 * number * by

    return doubled


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """A directory that keeps machine code of one kernel."""
    monkeypatch.setattr(cpu, "KERNELS", [])
    monkeypatch.setattr(cache, "_directory", tmp_path / "kept")
    assert doubled()(3, 0.5) == 3
    return tmp_path / "kept"


@pytest.fixture
def site(tmp_path, kept, monkeypatch):
    """A directory of packages with the wheel of it installed, for a user with an empty cache."""
    dist, site = tmp_path / "dist", tmp_path / "site"
    kernels_wheel.pack(kept, dist, ["--no-build-isolation", "--no-index"])
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", str(site), "--find-links", str(dist), "softkv-kernels"], check=True)
    monkeypatch.setattr(cache, "_directory", tmp_path / "new")
    monkeypatch.syspath_prepend(site)
    cache.package_directory.cache_clear()
    yield site
    cache.package_directory.cache_clear()


def test_the_name_of_the_wheel_declares_its_python_and_platform(tmp_path, site):
    (wheel,) = (tmp_path / "dist").iterdir()
    name, version, _, (tag,) = parse_wheel_filename(wheel.name)
    assert (name, str(version)) == ("softkv-kernels", PROJECT["version"])
    assert tag in set(sys_tags())
    assert (tag.interpreter, tag.abi) == (f"cp{sys.version_info.major}{sys.version_info.minor}", "none")
    assert tag.platform != "any"
    assert PROJECT["optional-dependencies"]["kernels"] == [f"softkv-kernels=={PROJECT['version']}"]


@pytest.mark.parametrize(
    ("tags", "oldest"),
    [
        (["manylinux_2_28_x86_64", "manylinux_2_27_x86_64"], "manylinux_2_27_x86_64"),
        (["manylinux2014_aarch64.manylinux_2_17_aarch64"], "manylinux_2_17_aarch64"),
        (["linux_aarch64"], "linux_aarch64"),
    ],
)
def test_the_wheel_runs_on_the_platforms_of_numba(monkeypatch, tags, oldest):
    class Numba:
        def read_text(self, name):
            return "Wheel-Version: 1.0\n" + "".join(f"Tag: cp311-cp311-{tag}\n" for tag in tags)

    monkeypatch.setattr(kernels_wheel, "distribution", {"numba": Numba()}.__getitem__)
    assert kernels_wheel.platform() == oldest


def test_installed_machine_code_is_loaded_and_not_compiled(site):
    assert cache.package_directory() == site / cache.PACKAGE / cache.key()
    installed = doubled()
    assert installed(3, 0.5) == 3
    assert sum(installed.stats.cache_hits.values()) == 1
    assert not cache.folder().exists()


def test_a_damaged_file_is_ignored_with_one_line_and_made_anew(site, caplog):
    (file,) = (site / cache.PACKAGE / cache.key()).iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        assert doubled()(3, 0.5) == 3
    assert caplog.messages == [f"machine code in {file} is damaged: compiling it again"]
    assert [path.name for path in cache.folder().iterdir()] == [file.name]


def test_machine_code_of_other_versions_is_ignored_with_one_line(site, caplog):
    package = site / cache.PACKAGE
    (package / cache.key()).rename(package / ("0" * 32))
    with caplog.at_level(logging.WARNING):
        assert doubled()(3, 0.5) == 3
    (line,) = caplog.messages
    assert re.search("no machine code for .* these versions: compiling it here", line)


def test_a_directory_without_machine_code_makes_no_wheel(tmp_path):
    with pytest.raises(FileNotFoundError):
        kernels_wheel.pack(tmp_path, tmp_path / "dist", [])
    assert not (tmp_path / "dist").exists()
