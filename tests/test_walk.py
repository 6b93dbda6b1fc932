"""The files that a query enters: none of which it asks nothing."""

from __future__ import annotations

from pathlib import Path

from tools.walk import CLIENT, HTTP_CALLS, ROOT, walk_http

NOT_ASKED = [
    "service/softkv_service/api/keyring.py",
    "service/softkv_service/encoding/encoders.py",
    "service/softkv_service/retrieval/calibration/record.py",
    "service/softkv_service/retrieval/collections/aliases.py",
    "service/softkv_service/retrieval/collections/values.py",
    "service/softkv_service/retrieval/documents/seeding.py",
    "service/softkv_service/retrieval/verdict/labels.py",
    "service/softkv_service/retrieval/queries/places.py",
    "service/softkv_service/retrieval/queries/query_parts.py",
    "service/softkv_service/retrieval/queries/terms/sum.py",
    "service/softkv_service/retrieval/terms/bias.py",
    "service/softkv_service/storage/restricted.py",
    "service/softkv_service/storage/conditions/visibility.py",
]
MAX_FILES = 70


def test_a_plain_text_query_enters_no_file_that_it_asks_nothing_of(tmp_path):
    walk = walk_http(tmp_path, HTTP_CALLS["text query"])
    entered = {str(Path(path).relative_to(ROOT)) for path in walk.calls if not path.startswith(CLIENT)}
    assert all((ROOT / path).exists() for path in NOT_ASKED)
    assert entered.isdisjoint(NOT_ASKED)
    assert len(entered) <= MAX_FILES
