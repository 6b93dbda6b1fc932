"""A store that was separated from its log is said to be so; any other stop is not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from softkv_service.storage import SQLiteStore
from softkv_service.storage.errors import LogMissing
from softkv_service.storage.sqlite.recovery import log_path
from tests.service.storage.making import SETTINGS, collection, document

ROOT = Path(__file__).parents[4]
WRITE = """
import os, signal, sys
from pathlib import Path
from softkv_service.storage import SQLiteStore
from tests.service.storage.making import collection, document
store = SQLiteStore.open(Path(sys.argv[1]))
collection(store, [document(str(i), i) for i in range(500)])
print("written", flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def write(directory: Path, end: str) -> None:
    command = [sys.executable, "-c", WRITE, str(directory), end]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300, check=False)
    assert done.stdout == b"written\n"


def documents(store: SQLiteStore) -> int:
    with store.reading() as reader:
        return sum(record.documents for record in reader.collections())


def test_a_killed_store_with_its_log_loses_nothing_and_reports_nothing(tmp_path: Path) -> None:
    write(tmp_path, "killed")
    with SQLiteStore.open(tmp_path) as store:
        assert documents(store) == 500
        shutdown = store.unclean_shutdown
    assert shutdown is not None
    assert (shutdown.collections, shutdown.documents) == (1, 500)
    assert shutdown.log_bytes > 100_000
    assert 0 < shutdown.seconds < 600
    with SQLiteStore.open(tmp_path) as store:
        assert store.unclean_shutdown is None


def refused(path: Path) -> None:
    """Check that opening fails and keeps the file, so that its log can be put back."""
    before = path.read_bytes()
    for _ in range(2):  # nothing is forgotten by being said
        with pytest.raises(LogMissing, match=r"softkv.sqlite3-wal is not there.* make an empty /.*softkv.sqlite3-wal"):
            SQLiteStore.open(path.parent)
    assert path.read_bytes() == before
    assert not log_path(path).exists()


@pytest.mark.parametrize("put_back", [True, False])
def test_a_killed_store_without_its_log_is_refused_until_there_is_one(tmp_path: Path, put_back: bool) -> None:
    write(tmp_path, "killed")
    path = tmp_path / "softkv.sqlite3"
    lost = log_path(path).read_bytes()
    log_path(path).unlink()
    refused(path)
    log_path(path).write_bytes(lost if put_back else b"")
    with SQLiteStore.open(tmp_path) as store:
        assert documents(store) == (500 if put_back else 0)
        assert store.unclean_shutdown is not None
        collection(store, [document("a")], "other")
    with SQLiteStore.open(tmp_path) as store:
        assert store.unclean_shutdown is None
        assert documents(store) == (501 if put_back else 1)


def test_the_file_alone_copied_while_it_was_in_use(tmp_path: Path) -> None:
    with SQLiteStore.open(tmp_path / "used") as store:
        collection(store, [document("a")])
        (tmp_path / "copy").mkdir()
        shutil.copy(store.path, tmp_path / "copy")
        shutil.copytree(tmp_path / "used", tmp_path / "both")
    refused(tmp_path / "copy" / "softkv.sqlite3")
    with SQLiteStore.open(tmp_path / "both") as both:
        assert documents(both) == 1
    shutil.copytree(tmp_path / "used", tmp_path / "closed")
    with SQLiteStore.open(tmp_path / "closed") as closed:
        assert closed.unclean_shutdown is None


def test_a_program_that_ends_without_closing_leaves_no_unclean_shutdown(tmp_path: Path) -> None:
    write(tmp_path, "ends")
    assert not log_path(tmp_path / "softkv.sqlite3").exists()
    with SQLiteStore.open(tmp_path) as store:
        assert store.unclean_shutdown is None
        assert documents(store) == 500


def test_a_full_disk_does_not_keep_it_from_being_read(small_disk: Path) -> None:
    with SQLiteStore.open(small_disk / "data") as store:
        collection(store, [document("a")])
    ballast = small_disk / "ballast"
    # Room for the index of a log, which reading takes, and not for a page in it.
    ballast.write_bytes(b"\0" * (shutil.disk_usage(small_disk).free - 36 * 1024))
    with SQLiteStore.open(small_disk / "data") as store:
        assert documents(store) == 1
    ballast.unlink()
    with SQLiteStore.open(small_disk / "data") as store, store.writing() as writer:
        writer.create_collection("d", SETTINGS)
