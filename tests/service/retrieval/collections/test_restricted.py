"""Handles of one collection share its state, and code that answers callers has no way around their restriction."""

from __future__ import annotations

import re
from pathlib import Path

import softkv_service
from softkv_service.storage import Restriction
from tests.service.retrieval.making import ODD, numbered, opened

AROUND = re.compile(r"\.(?:reading_all|snapshot_all|memory_snapshot|in_memory|count_keys)\b|\.lookups\.(?:ask|read)\b")
"""What a collection reads of the documents of all callers."""


def test_a_handle_has_the_state_that_the_collection_has_later(tmp_path: Path) -> None:
    catalogue = opened(tmp_path, numbered(1, 2, 3))
    whole, odd = catalogue.collection("c"), Restriction(ODD)
    seen = catalogue.restrict(odd).collection("c")
    assert (whole.keys, seen.keys, seen.ids()) == (3, 2, {"001", "003"})
    seen.delete(ids=["001", "002"])  # the second one is hidden
    whole.write(numbered(5))
    assert seen.record is whole.record
    assert (whole.keys, seen.keys, seen.ids()) == (3, 2, {"003", "005"})
    assert seen.restrict(odd) is seen
    catalogue.store.close()


def test_code_that_answers_callers_uses_nothing_that_leaves_their_restriction_out() -> None:
    root = Path(softkv_service.__file__).parent
    folders = [root / name for name in ("api", "retrieval/queries", "retrieval/labels", "retrieval/documents")]
    texts = {path: path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py")}
    assert len(texts) > 50
    assert [(path.name, way) for path, text in texts.items() for way in AROUND.findall(text)] == []
