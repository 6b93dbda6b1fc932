"""The files that a query enters: none of which it asks nothing."""

from __future__ import annotations

from pathlib import Path

from tools.walk import CLIENT, HTTP_CALLS, ROOT, walk_http

NOT_ASKED = [
    "service/api/keyring.py", "service/retrieval/calibration/record.py", "service/retrieval/collections/aliases.py",
    "service/retrieval/documents/seeding.py", "service/retrieval/queries/confidence.py",
    "service/retrieval/queries/terms.py", "service/retrieval/terms/bias.py", "service/storage/restricted.py",
    "service/storage/conditions/visibility.py",
]  # fmt: skip
MAX_FILES = 64


def test_a_plain_text_query_enters_no_file_that_it_asks_nothing_of(tmp_path):
    walk = walk_http(tmp_path, HTTP_CALLS["text query"])
    entered = {str(Path(path).relative_to(ROOT)) for path in walk.calls if not path.startswith(CLIENT)}
    assert all((ROOT / path).exists() for path in NOT_ASKED)
    assert entered.isdisjoint(NOT_ASKED)
    assert len(entered) <= MAX_FILES
