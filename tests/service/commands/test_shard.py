"""`softkv shard`: one line says why it does not start; it holds its part, and others take it over."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from service.cluster import place_shard, shard_starts
from service.settings import Settings
from service.storage import SharedStore, open_shared
from tests.postgres import PostgresServer
from tests.service.commands.conftest import COMMAND, Softkv
from tests.service.storage.making import collection, document
from tests.waiting import until

STORE = "postgresql://softkv@127.0.0.1:1/softkv"
WITH_RAY = find_spec("ray") is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a shard needs the database"),
        (["--store", STORE], "a shard needs the database"),
        (["--shards", "auto"], "shards need a PostgreSQL database, and SOFTKV_STORE does not name one"),
        (["--store", STORE, "--shards", "none"], "a shard needs the database"),
        (["--store", STORE, "--shards", "ray:6379"], "--shards: expected the address of Ray's head"),
        (["--store", STORE, "--shards", "ray://head:0"], "--shards: expected the address of Ray's head"),
        (["--store", STORE, "--shards", "ray://head:6379/x"], "--shards: expected the address of Ray's head"),
        (["--store", STORE, "--shards", "auto", "--slots", "0"], "--slots: Input should be greater than or equal to 1"),
        (["--store", STORE, "--shards", "auto", "--copies", "9"], "--copies: Input should be less than or equal to 8"),
        (["--store", STORE, "--shards", "auto", "--name", "a b"], "--name: expected up to 100 letters"),
    ],
)
def test_why_it_does_not_start(bare: Softkv, arguments: list[str], message: str) -> None:
    ended = bare("shard", *arguments)
    assert ended.exit_code == 1
    assert ended.stderr.startswith(f"softkv: {message}")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", None),
        ("none", None),
        ("auto", "auto"),
        ("ray://head", "ray://head:6379"),
        ("ray://head.internal:7000/", "ray://head.internal:7000"),
        ("ray://[::1]", "ray://[::1]:6379"),
    ],
)
def test_the_address_of_a_head_has_its_port(options: str, expected: str | None) -> None:
    assert Settings(store=STORE, shards=options).shards == expected


@pytest.mark.skipif(WITH_RAY, reason="Ray is here")
def test_without_ray_it_says_what_to_install(bare: Softkv) -> None:
    ended = bare("shard", "--store", STORE, "--shards", "ray://head", SOFTKV_HOST="0.0.0.0")  # as in the image
    assert ended.exit_code == 1
    assert ended.stderr.endswith("pip install 'softkv[cluster]'\n")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("originals", ["files", "memory"])
def test_a_directory_that_cannot_be_written_is_named(bare: Softkv, tmp_path: Path, originals: str) -> None:
    (tmp_path / "file").touch()
    where = ("--vector-storage", originals, "--data-dir", str(tmp_path / "file"))
    ended = bare("shard", "--store", STORE, "--shards", "ray://127.0.0.1:1", *where)
    assert ended.exit_code == 1
    if originals == "files":
        assert ended.stderr.startswith("softkv: --vector-storage files needs a writable directory")
        assert ended.stderr.count("\n") == 1
    else:
        assert "without files, each start reads all keys" in ended.stderr


class Shard:
    """A process of it, and what its log said."""

    def __init__(self, store: str, head: str, folder: Path, name: str) -> None:
        self.ready = folder / f"{name}-ready"
        self.ready.touch()  # as one that was killed leaves it
        options = {"store": store, "shards": f"ray://{head}", "slots": "2", "copies": "1", "name": name}
        options |= {
            "data-dir": str(folder / "data"),
            "leave-seconds": "60",
            "log-format": "json",
            "ready-file": str(self.ready),
        }
        command = [*COMMAND, "shard", *(part for key, value in options.items() for part in (f"--{key}", value))]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines: list[dict[str, Any]] = []
        self.others: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.others.append(line)

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    def ranges(self) -> int | None:
        """Return the number of ranges in its last log line."""
        line = self.said("slots hold")
        return line[-1]["ranges"] if line else None

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        return self.process.returncode


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
def written(address: str) -> Iterator[SharedStore]:
    store = open_shared(address)
    for name in ("one", "two", "three"):
        collection(store, [document(f"{i}", i) for i in range(50)], name)
    yield store
    store.close()


@pytest.mark.ray
@pytest.mark.skipif(not WITH_RAY, reason="Ray is not here: make cluster")
def test_two_hold_all_of_it_and_one_takes_over_what_the_other_leaves(
    address: str, head: str, written: SharedStore, tmp_path: Path
) -> None:
    shards = [Shard(address, head, tmp_path, "one")]
    try:
        until(lambda: shards[0].ranges() == 3, 120, lambda: shards[0].others)
        until(shards[0].ready.exists)
        first = shards[0].said("slots hold")[0]
        assert first["coming"] + first["ranges"] > 0  # a slot is not ready before it knows its ranges
        shards.append(Shard(address, head, tmp_path, "two"))
        until(lambda: len(written.nodes.members()) == 4, 120, lambda: shards[1].others)

        def settled() -> bool:
            """Return whether every range is exactly where it belongs."""
            expected = {
                (number, first_row, owner)
                for number, extent in written.extents().items()
                for first_row in shard_starts(extent.next_row)
                for owner in place_shard(number, first_row, written.nodes.members(), 1)
            }
            return {
                (holder.collection, holder.first_row, holder.node.name) for holder in written.nodes.holders()
            } == expected

        until(settled)
        on_machines = Counter(holder.node.machine for holder in written.nodes.holders())
        # Both have to log what they hold now: the first one's line of before counts all ranges, too.
        until(lambda: [shard.ranges() for shard in shards] == [on_machines["one"], on_machines["two"]])
        assert shards[0].said("slots hold")[-1]["keys"] + shards[1].said("slots hold")[-1]["keys"] == 150
        assert shards[1].stop() == 0
        assert not shards[1].ready.exists()
        assert shards[1].said("slots have left")
        assert {slot.name for slot in written.nodes.live()} == {"one-0", "one-1"}
        assert settled()
        assert len(written.nodes.holders()) == 3
        assert shards[0].stop() == 0
        assert {path.name for path in (tmp_path / "data").iterdir()} == {
            f"softkv.slot-{name}-{number}" for name in ("one", "two") for number in (0, 1)
        }
        assert shards[0].said("no slot on another machine can take over the keys")
        assert written.nodes.live() == []
    finally:
        for shard in shards:
            shard.process.kill()
            shard.process.wait()
    assert [line for shard in shards for line in shard.others if re.search("Traceback|raylet", line)] == []
    assert [shard.process.stdout.read() for shard in shards if shard.process.stdout] == ["", ""]
