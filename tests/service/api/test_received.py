"""Received files: places for all and for each caller, a reserve of the disk, and a folder that a start clears."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from softkv_service.api.problems.errors import QueueFull
from softkv_service.api.received import ReceivedFiles
from softkv_service.storage.errors import DiskFull, StorageFailed


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Return a test that runs a coroutine."""

    @wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


def open_files(folder: Path, **options: float) -> ReceivedFiles:
    return ReceivedFiles(folder, 1 << 20, **{"reserve_bytes": 0, "reserve_share": 0} | options)  # type: ignore[arg-type]


@in_loop
async def test_all_callers_have_eight_places_and_one_has_two(tmp_path: Path) -> None:
    files = open_files(tmp_path)
    async with AsyncExitStack() as stack:
        folders = [await stack.enter_async_context(files.place(f"caller {number // 2}")) for number in range(7)]
        with pytest.raises(QueueFull, match="2 files of this caller"):
            await stack.enter_async_context(files.place("caller 0"))
        folders.append(await stack.enter_async_context(files.place("caller 3")))
        with pytest.raises(QueueFull, match="8 files are being received or read"):
            await stack.enter_async_context(files.place("caller 4"))
        assert len(set(folders)) == 8
        (folders[0] / "file").write_text("x")
    assert not any(folder.exists() for folder in folders)
    async with files.place("caller 0"):
        pass
    files.close()
    assert list(tmp_path.iterdir()) == []


@in_loop
async def test_places_are_taken_at_once_or_not_at_all(tmp_path: Path) -> None:
    files = open_files(tmp_path)

    async def take() -> bool:
        try:
            async with files.place("caller"):
                await asyncio.sleep(0.2)
        except QueueFull:
            return False
        return True

    assert sorted(await asyncio.gather(*(take() for _ in range(5)))) == [False, False, False, True, True]
    files.close()


@pytest.mark.parametrize("reserve", [{"reserve_bytes": 1 << 60}, {"reserve_share": 1.0}])
@in_loop
async def test_a_disk_keeps_its_reserve(tmp_path: Path, reserve: dict[str, float]) -> None:
    files = open_files(tmp_path, **reserve)
    with pytest.raises(DiskFull, match="must stay free beside 1 files of at most 1,048,576"):
        await files.place("caller").__aenter__()
    files.close()
    assert list(tmp_path.iterdir()) == []


@in_loop
async def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageFailed, match="SOFTKV_RECEIVED_DIR"):
        await open_files(tmp_path / "file").place("caller").__aenter__()


@in_loop
async def test_a_start_removes_the_files_of_ended_processes(tmp_path: Path) -> None:
    running = open_files(tmp_path)
    (tmp_path / "softkv-dead" / "file").mkdir(parents=True)
    (tmp_path / "softkv-dead" / "file" / "books.csv").write_text("x")
    (tmp_path / "softkv-dead.lock").write_text("")
    (tmp_path / "softkv-early").mkdir()
    (tmp_path / "notes").write_text("of somebody else")
    async with running.place("caller") as folder:
        open_files(tmp_path).clear()
        assert folder.exists()
        names = {folder.parent.name, f"{folder.parent.name}.lock"}
        assert {path.name for path in tmp_path.iterdir()} == {"notes", *names}
    (tmp_path / names.pop()).with_suffix(".lock").unlink()
    shutil.rmtree(folder.parent)  # as a cleaner of old files may
    async with running.place("caller") as folder:
        assert folder.exists()
    running.close()
    open_files(tmp_path / "missing").clear()
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]
