"""`softkv calibrate`: a table of what labelled questions gain, and what is wrong with a file by its lines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.service.commands.conftest import Softkv


@pytest.fixture
def labelled(softkv: Softkv, tmp_path: Path) -> Path:
    """80 questions to a collection of 40 keys, half near one of them."""
    random = np.random.default_rng(0)
    keys = random.normal(size=(80, 8))
    rows = ({"id": str(i), "key_vector": key.tolist()} for i, key in enumerate(keys[:40]))
    (tmp_path / "keys.ndjson").write_text("\n".join(map(json.dumps, rows)))
    made = softkv("load", str(tmp_path / "keys.ndjson"), "--collection", "compass", "--encoder", "none")
    assert made.exit_code == 0, made.stderr
    asked = (keys[i] + 0.3 * random.normal(size=8) for i in range(80))
    lines = ({"query": each.tolist(), "id": str(i) if i < 40 else None} for i, each in enumerate(asked))
    path = tmp_path / "labelled.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    return path


def test_a_table_shows_before_and_after_and_json_has_all_of_it(softkv: Softkv, labelled: Path) -> None:
    shown = softkv("calibrate", str(labelled), "-c", "compass")
    assert shown.exit_code == 0, shown.stderr
    assert "40 questions with an answer, 40 without" in shown.stdout
    assert "as served" in shown.stdout
    assert "--apply keeps it" in shown.stdout
    found = json.loads(softkv("calibrate", str(labelled), "-c", "compass", "--apply", "--json").stdout)
    assert found["labels"] == {"present": 40, "absent": 40}
    assert f"{found['after']['log_loss']['value']:.3f}" in shown.stdout
    assert found["applied"] == any(each["value"] > each["error"] for each in found["gained"].values())


@pytest.mark.parametrize(("line", "says"), [("{", "line 2 of"), ('{"id": "a"}', "is no question")])
def test_a_line_that_is_no_question_is_named(softkv: Softkv, tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "labelled.jsonl"
    path.write_text(f'{{"query": "a", "id": null}}\n{line}\n')
    refused = softkv("calibrate", str(path), "-c", "compass")
    assert refused.exit_code == 1
    assert says in refused.stderr
