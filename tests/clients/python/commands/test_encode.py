"""`softkv encode`: a row a text, in order, in a file that is whole or not there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.running import RunningService
from tests.service.commands.conftest import COMMAND, Softkv

TEXTS = [f"the {i}th text about {'cats' if i % 2 else 'databases'}" for i in range(150)]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(TEXTS) + "\n", encoding="utf-8")
    return path


def test_notices_of_a_table_of_texts_are_printed(softkv: Softkv, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,title,zip\na,cats,01234\nb,dogs,99999\n", encoding="utf-8")
    ended = softkv("encode", str(tmp_path / "t.csv"), "--key", "title")
    assert ended.exit_code == 0, ended.stderr
    printed = " ".join(ended.stderr.split())
    assert "column 'zip' stays text" in printed
    assert "open_table(…, number='zip') makes it one" in printed


def test_lines_become_rows(softkv: Softkv, client: httpx.Client, lines: Path) -> None:
    ended = softkv("encode", str(lines), "--json")
    assert ended.exit_code == 0, ended.stderr
    out = lines.with_suffix(".npy")
    report = json.loads(ended.stdout)
    assert report == {
        "out": str(out),
        "model": "all-MiniLM-L6-v2",
        "dimension": 384,
        "texts": 150,
        "truncated": [],
        "unknown_tokens": 0,
    }
    array = np.load(out)
    assert (array.shape, array.dtype) == ((150, 384), np.float32)
    expected = client.post("/v1/encode", json={"texts": TEXTS[:3] + TEXTS[-1:]}).json()["embeddings"]
    np.testing.assert_allclose(array[[0, 1, 2, -1]], expected, atol=1e-6)
    assert list(lines.parent.iterdir()) == [lines, out] or list(lines.parent.iterdir()) == [out, lines]


def test_documents_become_documents_that_can_be_loaded(softkv: Softkv, tmp_path: Path) -> None:
    path = tmp_path / "books.ndjson"
    path.write_text('{"id": "a", "title": "cats", "value": 1}\n{"id": "b", "title": "chess", "value": 2}\n')
    ended = softkv("encode", str(path), "--key", "title", "--out", "-")
    assert ended.exit_code == 0, ended.stderr
    first, second = map(json.loads, ended.stdout.splitlines())
    assert (first["id"], first["key"], first["value"]) == ("a", "cats", 1)
    assert len(second["key_vector"]) == 384
    assert "2 texts, 384 wide" in ended.stderr


def test_standard_input_becomes_standard_output(service: RunningService) -> None:
    ended = subprocess.run(
        [*COMMAND, "encode", "-", "--url", service.url],
        input="cats\nchess\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line)["key"] for line in ended.stdout.splitlines()] == ["cats", "chess"]


def test_texts_that_are_cut_are_named(softkv: Softkv, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("short\n\n" + "word " * 1000 + "\n")
    ended = softkv("encode", str(tmp_path / "texts.txt"))
    assert "1 texts are longer than the model reads and were cut: lines 3" in " ".join(ended.stderr.split())


def test_a_failure_leaves_the_old_file_alone(softkv: Softkv, lines: Path) -> None:
    out = lines.with_suffix(".npy")
    out.write_bytes(b"old")
    refused = softkv("encode", str(lines), "--model", "no-such-model")
    assert refused.exit_code == 1
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in lines.parent.iterdir()) == ["texts.npy", "texts.txt"]


def test_an_empty_file_is_an_empty_array(softkv: Softkv, tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("")
    assert softkv("encode", str(tmp_path / "none.txt")).exit_code == 0
    assert np.load(tmp_path / "none.npy").shape == (0, 0)


@pytest.mark.parametrize(
    ("name", "content", "options", "code", "reason"),
    [
        ("t.txt", b"\xff\n", [], 1, "not UTF-8"),
        ("t.ndjson", b'{"id": "a"}\n', [], 1, "no column 'key' for --key …, its columns are id"),
        ("t.ndjson", b"1\n", [], 1, "its columns are none"),
        ("t.csv", b"a,b\n1,2\n", [], 1, "no column 'key'"),
        ("t.txt", b"a\n", ["--out", "t.xlsx"], 2, "has another extension than"),
        ("t.txt", b"a\n", ["--out", "-", "--json"], 2, "--out"),
        ("t.txt", b"a\n", ["--out", "/nowhere/t.npy"], 1, "cannot be written"),
        ("t.txt", b"a\n", ["--purpose", "fun"], 2, "purpose"),
    ],
)
def test_an_encode_that_fails_writes_no_file(
    softkv: Softkv, tmp_path: Path, name: str, content: bytes, options: list[str], code: int, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    ended = softkv("encode", str(tmp_path / name), *options)
    assert ended.exit_code == code
    assert reason in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
