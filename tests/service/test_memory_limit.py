"""The memory that the process may take, by the control groups that it is in."""

from __future__ import annotations

from pathlib import Path

import pytest

from softkv_service.memory_limit import memory_limit

MACHINE = memory_limit(Path("/nowhere"), Path("/nowhere"))


@pytest.mark.parametrize(
    ("named", "files", "expected"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "3000000\n", "a/memory.max": "max\n"}, 3_000_000),
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "2000000\n"}, 2_000_000),
        ("0::/\n", {"memory.max": "1000000\n"}, 1_000_000),
        ("0::/outside/of/the/container\n", {"memory.max": "1000000\n"}, 1_000_000),
        ("5:cpu,memory:/a\n4:pids:/b\n", {"memory/a/memory.limit_in_bytes": "4000000\n"}, 4_000_000),
        ("5:memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, MACHINE),
        ("0::/a\n", {"a/memory.max": "max\n"}, MACHINE),
        ("", {}, MACHINE),
    ],
)
def test_the_least_limit_of_the_groups_counts(tmp_path: Path, named: str, files: dict[str, str], expected: int) -> None:
    (tmp_path / "named").write_text(named)
    for name, content in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert memory_limit(tmp_path / "groups", tmp_path / "named") == expected


def test_this_machine_has_memory() -> None:
    assert 2**28 < memory_limit() <= MACHINE
