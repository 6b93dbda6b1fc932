"""The processes that may open a data directory."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from softkv_service.storage import SQLiteStore
from softkv_service.storage.errors import DirectoryLocked, DirectoryUnusable

OTHER_PROCESS = """
import sys
from pathlib import Path
from softkv_service.storage import SQLiteStore
from softkv_service.storage.errors import DirectoryLocked
try:
    SQLiteStore.open(Path(sys.argv[1]))
except DirectoryLocked as error:
    print(error)
"""


def from_another_process(directory: Path) -> str:
    command = [sys.executable, "-c", OTHER_PROCESS, str(directory)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


def test_a_second_process_learns_the_directory_and_the_first_process(tmp_path: Path) -> None:
    with SQLiteStore.open(tmp_path):
        message = from_another_process(tmp_path)
    assert str(tmp_path) in message
    assert str(os.getpid()) in message
    assert from_another_process(tmp_path) == ""


def test_a_second_store_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with SQLiteStore.open(tmp_path):
        with pytest.raises(DirectoryLocked) as refused:
            SQLiteStore.open(tmp_path)
        assert refused.value.pid == os.getpid()
    SQLiteStore.open(tmp_path).close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_only_this_user_reads_a_new_data_directory(tmp_path: Path) -> None:
    existing = tmp_path / "volume"
    existing.mkdir(mode=0o755)
    SQLiteStore.open(existing).close()
    SQLiteStore.open(tmp_path / "parent" / "new").close()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "parent" / "new", existing)]
    assert modes == [0o700, 0o755]
    assert stat.S_IMODE((tmp_path / "parent").stat().st_mode) != 0o700


def test_a_file_in_the_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a directory")
    with pytest.raises(DirectoryUnusable, match="data"):
        SQLiteStore.open(tmp_path / "data")
