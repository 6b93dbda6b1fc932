"""Machine code in files: sound or ignored, and named by all that it follows from."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from numba import float64, int64, njit

from attention.kernels import cache, cpu


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """A directory to keep machine code in, of this test's own."""
    monkeypatch.setattr(cache, "_directory", tmp_path)
    return tmp_path


def kernel(monkeypatch):
    """Return a kernel in the state of a new process."""
    monkeypatch.setattr(cpu, "KERNELS", [])

    @cpu.kernel(int64, float64, fastmath=False)
    def scaled(number, by):
        return number * by

    return scaled


def test_compiled_code_is_loaded_by_the_next_kernel(directory, monkeypatch):
    first, second = kernel(monkeypatch), kernel(monkeypatch)
    assert not first._cache.holds((int64, float64))
    assert (first(3, 0.5), second(3, 0.5)) == (1.5, 1.5)
    assert (sum(first.stats.cache_hits.values()), sum(second.stats.cache_hits.values())) == (0, 1)
    assert second._cache.holds((int64, float64))
    assert not second._cache.holds((float64, float64))  # other types have another file
    (file,) = cache.folder().iterdir()
    assert file.is_relative_to(directory)


def test_the_first_compilation_of_a_process_is_one_line_of_the_log(directory, monkeypatch, caplog):
    cache._log_compilation.cache_clear()
    with caplog.at_level(logging.INFO, "attention.kernels.cache"):
        kernel(monkeypatch)(3, 0.5)
        kernel(monkeypatch)(3.0, 0.5)
        kernel(monkeypatch)(3, 0.5)
    [record] = [record for record in caplog.records if record.name == "attention.kernels.cache"]
    assert record.getMessage().startswith("compiling machine code, once")


def test_other_users_may_read_it(directory, monkeypatch):
    kernel(monkeypatch)(3, 0.5)
    (file,) = cache.folder().iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644  # the image's is made by one user and loaded by another


@pytest.mark.parametrize("damage", [b"", b"x" * 40, None])
def test_a_damaged_file_is_ignored_with_a_warning_and_made_anew(directory, monkeypatch, caplog, damage):
    kernel(monkeypatch)(3, 0.5)
    (file,) = cache.folder().iterdir()
    sound = file.read_bytes()
    file.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]) if damage is None else damage)
    with caplog.at_level(logging.WARNING):
        assert kernel(monkeypatch)(4, 0.5) == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"machine code in {file} is damaged: compiling it again"
    ]
    again = kernel(monkeypatch)
    assert again(4, 0.5) == 2
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_kernel_is_compiled_although_its_folder_is_not_writable(directory, monkeypatch, caplog):
    (directory / "kernels").write_text("not a directory")
    assert kernel(monkeypatch)(3, 0.5) == 1.5
    assert "cannot be cached" in caplog.text


def test_an_installed_package_supplies_machine_code_for_this_processor(
    directory, monkeypatch, caplog, tmp_path_factory
):
    kernel(monkeypatch)(3, 0.5)
    site = tmp_path_factory.mktemp("site")
    package = site / cache.PACKAGE
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(site)
    cache.package_directory.cache_clear()
    try:
        assert cache.package_directory() is None
        assert "no machine code for this processor" in caplog.text
        cache.folder().rename(package / cache.key())
        cache.package_directory.cache_clear()
        result = kernel(monkeypatch)
        assert result(3, 0.5) == 1.5
        assert sum(result.stats.cache_hits.values()) == 1
        assert not cache.folder().exists()
    finally:
        cache.package_directory.cache_clear()


def test_the_key_follows_from_sources_and_the_compiler_and_from_no_path(tmp_path):
    root = Path(__file__).parents[3]
    (tmp_path / "attention").symlink_to(root / "attention")
    script = "from attention.kernels import cache; print(cache.key())"

    def key(cwd, **environment):
        run = [sys.executable, "-c", script]
        settings = os.environ | {"PYTHONPATH": str(cwd)} | environment
        return subprocess.run(run, cwd=cwd, env=settings, capture_output=True, text=True, check=True).stdout

    assert key(root) == key(tmp_path) != key(root, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")


def test_only_the_last_folders_are_kept(directory):
    for number in range(cache.KEPT + 3):
        folder = directory / "kernels" / str(number)
        folder.mkdir(parents=True)
        (folder / "kernel").write_text("machine code")
        os.utime(folder, (number, number))
    cache.prune()
    assert {path.name for path in (directory / "kernels").iterdir()} == {str(n) for n in range(3, cache.KEPT + 3)}


def test_a_function_of_numba_s_own_is_not_touched():
    @njit
    def plain(x):
        return x

    assert not isinstance(plain._cache, cache.KernelCache)


def test_pruning_an_empty_cache_deletes_nothing(directory):
    cache.prune()
    assert list(directory.iterdir()) == []


def test_a_cached_file_leaves_no_temporary_file(directory, monkeypatch):
    kernel(monkeypatch)(3, 0.5)
    (file,) = cache.folder().iterdir()
    assert "scaled" in file.name
