"""`softkv alias`: lists, creates, moves and deletes aliases."""

from __future__ import annotations

import json
from pathlib import Path

from tests.service.commands.conftest import Softkv


def test_an_alias_is_created_moved_and_deleted(softkv: Softkv, tmp_path: Path) -> None:
    (tmp_path / "texts.ndjson").write_text(json.dumps({"id": "a", "value": "text"}))
    for name in ("aliased-1", "aliased-2"):
        softkv("load", str(tmp_path / "texts.ndjson"), "--collection", name, "--encoder", "none")
        put = softkv("alias", "aliased", name)
        assert (put.exit_code, put.stdout) == (0, f"aliased: stands for {name}\n")
    expected = [{"alias": "aliased", "collection": "aliased-2"}]
    for arguments in ([], ["aliased"]):
        assert json.loads(softkv("alias", *arguments, "--json").stdout) == expected
    loaded = softkv("load", str(tmp_path / "texts.ndjson"), "--collection", "aliased", "--encoder", "none")
    assert loaded.exit_code == 0, loaded.stderr
    refused = softkv("alias", "aliased-1", "aliased-2")
    assert refused.exit_code == 1
    assert "'aliased-1' exists" in refused.stderr
    for arguments in (["--delete"], ["aliased", "aliased-1", "--delete"]):
        assert softkv("alias", *arguments).exit_code == 2
    deleted = softkv("alias", "aliased", "--delete")
    assert (deleted.exit_code, deleted.stdout) == (0, "aliased: deleted, it stood for aliased-2\n")
    missing = softkv("alias", "aliased")
    assert missing.exit_code == 1
    assert "there is no alias 'aliased'" in missing.stderr
