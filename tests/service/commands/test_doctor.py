"""`softkv doctor`: sound machines are sound, and each thing that is broken is named."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.encoding.models.installed import installed_checkpoint
from tests.service.commands.conftest import Softkv, serving


def checks(bare: Softkv, data_dir: Path, *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and each check by its name."""
    ended = bare("doctor", "--data-dir", str(data_dir), "--json", *options)
    told = json.loads(ended.stdout)
    assert told["sound"] == (ended.exit_code == 0)
    return ended.exit_code, {check["name"]: check for check in told["checks"]}


def test_a_sound_machine_and_a_verified_model(bare: Softkv, tmp_path: Path) -> None:
    code, found = checks(bare, tmp_path / "none")
    assert code == 0
    assert "Python 3." in found["machine"]["detail"]
    assert "numba" in found["packages"]["detail"]
    assert (found["torch"]["state"], found["sentence-transformers"]["state"]) == ("ok", "ok")
    assert f"lookup: {'numba' if find_spec('numba') else 'NumPy'}" in found["arithmetic"]["detail"]
    assert "machine code in" in found["arithmetic"]["detail"]
    assert "all-MiniLM-L6-v2: verified" in found["model"]["detail"]
    assert "384 wide" in found["model"]["detail"]
    assert "runs on attention/transformer, with" in found["model"]["detail"]
    assert "compared by cosine at temperature 0.05 (measured)" in found["model"]["detail"]
    assert found["model"]["state"] == "ok"
    assert found["data directory"]["state"] == "note"
    assert not (tmp_path / "none").exists()


def test_a_sound_data_directory_is_counted_and_left_alone(bare: Softkv, tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        httpx.put(f"{running.url}/v1/collections/one", json={}, timeout=60)
        httpx.post(
            f"{running.url}/v1/collections/one/documents",
            json={"documents": [{"id": "a", "key_vector": [1]}]},
            timeout=60,
        )
        code, found = checks(bare, tmp_path, "--encoder", "none")
        assert code == 0
        assert f"in use by process {running.process.pid}" in found["data directory"]["detail"]
        assert httpx.get(f"{running.url}/v1/collections/one", timeout=60).json()["documents"] == 1
    code, found = checks(bare, tmp_path, "--encoder", "none")
    assert code == 0
    assert "is sound: 1 collections, 1 documents" in found["data directory"]["detail"]


def test_a_damaged_database_is_broken(bare: Softkv, tmp_path: Path) -> None:
    (tmp_path / "softkv.sqlite3").write_bytes(b"SQLite format 3\0" + b"nonsense" * 1000)
    code, found = checks(bare, tmp_path, "--encoder", "none")
    assert code == 1
    assert found["data directory"]["state"] == "broken"


def test_a_model_that_is_not_there_is_broken(bare: Softkv, tmp_path: Path) -> None:
    ended = bare("doctor", "--data-dir", str(tmp_path), "--encoder", str(tmp_path / "no-model"))
    assert ended.exit_code == 1
    assert re.search(r"^model +broken", ended.stdout, re.MULTILINE)
    assert ended.stderr.endswith("softkv: broken: model\n")


def own_model(directory: Path, **settings: object) -> Path:
    """The real model in a folder of its own, with other settings of sentence-transformers."""
    for file in installed_checkpoint().rglob("*"):
        if file.is_file():
            link = directory / file.relative_to(installed_checkpoint())
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    (directory / "config_sentence_transformers.json").unlink()
    (directory / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return directory


def test_what_one_should_know_of_a_model_is_a_note(bare: Softkv, tmp_path: Path) -> None:
    model = own_model(tmp_path / "model", similarity_fn_name="manhattan")
    code, found = checks(bare, tmp_path / "none", "--encoder", str(model))
    assert (code, found["model"]["state"]) == (0, "note")
    assert "its maker compares vectors by 'manhattan'" in found["model"]["detail"]


def test_a_model_of_another_kind_is_broken_with_its_kind(bare: Softkv, tmp_path: Path) -> None:
    model = own_model(tmp_path / "model", model_type="SparseEncoder")
    code, found = checks(bare, tmp_path / "none", "--encoder", str(model))
    assert (code, found["model"]["state"]) == (1, "broken")
    assert "holds a sparse encoder" in found["model"]["detail"]


def test_a_bad_setting_is_told_before_anything_is_looked_at(bare: Softkv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTKV_THREADS", "none")
    ended = bare("doctor")
    assert ended.exit_code == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("softkv: SOFTKV_THREADS: ")
