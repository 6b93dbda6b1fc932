"""`softkv check-index`: errors that need no store. `stores/` has runs on real stores."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from softkv_referee.command import _without_password
from tests.service.commands.conftest import Softkv


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "asked.jsonl"
    path.write_text('{"vector": [1, 0]}\n')
    return path


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["-k", "0"], 2, "greater than or equal to 1"),
        (["--temperature", "0"], 2, "--temperature 0: expected a number above 0"),
        (["--temperature", "nan"], 2, "expected a number above 0"),
        (["--probes", "-1"], 2, "greater than or equal to 0"),
        (["--filter", "{"], 2, "--filter {: expected JSON"),
        (["--set", "ef"], 2, "--set ef: expected NAME=VALUE"),
        (["--before", "none.json"], 2, "file not found: none.json"),
        ([], 1, "is not a folder of chroma" if find_spec("chromadb") else "pip install chromadb"),
    ],
)
def test_invalid_options_are_refused(
    bare: Softkv, questions: Path, tmp_path: Path, options: list[str], code: int, says: str
) -> None:
    refused = bare("check-index", str(tmp_path), "--from", "chroma", "--questions", str(questions), *options)
    assert refused.exit_code == code
    assert says in " ".join(refused.stderr.replace("│", " ").split())


def test_a_store_of_another_kind_and_missing_questions_are_refused(bare: Softkv, questions: Path) -> None:
    other = bare("check-index", "x", "--from", "sqlite", "--questions", str(questions))
    missing = bare("check-index", "x", "--from", "faiss", "--questions", "none.npy")
    assert (other.exit_code, missing.exit_code) == (2, 2)
    assert "'sqlite' is not one of" in other.stderr
    assert "file not found: none.npy" in missing.stderr


def test_questions_are_read_before_the_store(bare: Softkv, questions: Path) -> None:
    questions.write_text('{"vector": [1]}\nnot JSON\n')
    refused = bare("check-index", "nowhere", "--from", "faiss", "--questions", str(questions))
    assert refused.exit_code == 1
    assert f"line 2 of {questions}: it is not JSON" in refused.stderr


def test_an_earlier_report_must_be_json(bare: Softkv, questions: Path, tmp_path: Path) -> None:
    (tmp_path / "before.json").write_text("# markdown")
    before = ("--before", str(tmp_path / "before.json"))
    refused = bare("check-index", "x", "--from", "faiss", "--questions", str(questions), *before)
    assert refused.exit_code == 1
    assert "before.json is not a report of softkv check-index" in refused.stderr


def test_a_report_does_not_have_the_password() -> None:
    shown = _without_password("postgresql://app:secret@db:5432/app?sslmode=require")
    assert shown == "postgresql://app:…@db:5432/app?sslmode=require"
    assert _without_password("./chroma") == "./chroma"
