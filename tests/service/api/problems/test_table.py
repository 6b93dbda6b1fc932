"""The table of refusals: every error that a request may meet is in it once, and everything in it may be met."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import softkv_service
from softkv_attention.errors import AttentionError
from softkv_service.api.parts import find_parts
from softkv_service.api.problems import errors as api
from softkv_service.api.problems.handlers import problem_response
from softkv_service.api.problems.table import CODES, TABLE, add_refusals
from softkv_service.encoding import errors as encoding
from softkv_service.retrieval import errors as retrieval
from softkv_service.retrieval.documents.work import WorkOver
from softkv_service.storage import errors as storage

ROOTS = {api.APIError, retrieval.RetrievalError, storage.StorageError, encoding.EncodingError, AttentionError}
# The first two end `softkv restore`, the next seven a start, before there are requests; the catalogue never provokes
# one; the next is answered like the write; and the last ends a job in the background.
NOT_OVER_HTTP = {
    storage.BackupDamaged,
    storage.DirectoryTaken,
    storage.DirectoryUnusable,
    storage.DirectoryLocked,
    storage.DatabaseAltered,
    storage.DatabaseForeign,
    storage.DatabaseTooNew,
    storage.DatabaseTooOld,
    storage.LogMissing,
    storage.CollectionFixed,
    storage.WriteAnswered,
    WorkOver,
    storage.NotInMemory,
}


def below(kind: type[Exception]) -> Iterator[type[Exception]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from below(subclass)


# Without those of walls, which other tests of this process may have loaded.
ERRORS = {
    each
    for root in ROOTS
    for each in below(root)
    if each.__module__.partition(".")[0] in ("softkv_attention", "softkv_service")
}


def made() -> set[str]:
    """Return the names of the classes that service, core and walls construct, as `Name(…)` or `Name.at(…)`."""
    sources = Path(softkv_service.__file__).parents[2]
    calls = (
        node.func
        for room in ("attention", "service", "workshop/softkv_workshop", "extensions/cluster/softkv_cluster")
        for path in (sources / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    )
    names = (call.value if isinstance(call, ast.Attribute) and call.attr == "at" else call for call in calls)
    return {name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "") for name in names}


def test_every_error_has_a_code_or_no_request_meets_it():
    without = {error for error in ERRORS if CODES.keys().isdisjoint(error.__mro__)}
    assert without == NOT_OVER_HTTP


def test_every_error_of_the_table_is_made_somewhere():
    import_module("softkv_cluster.errors")  # whose errors are kinds of SnapshotGone
    names = made()
    # The interpreter makes this one.
    for kind in CODES.keys() - {MemoryError}:
        assert names & {class_.__name__ for class_ in (kind, *below(kind))}, f"nothing raises {kind.__name__}"


def test_an_error_has_one_code():
    for part in find_parts():
        add_refusals(part.refusals, part.errors)
    rows = [row.errors if isinstance(row.errors, tuple) else (row.errors,) for row in TABLE.values()]
    assert all(rows)
    assert len(CODES) == sum(map(len, (*rows, *(part.errors for part in find_parts()))))


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (retrieval.InvalidContent.at("/a", "wrong"), 422, "invalid_content"),
        (retrieval.TooLarge.at("/a", "many"), 413, "too_much"),
        (encoding.EncodingError("?"), 503, "encoder_unavailable"),
        (encoding.ModelUnusable("?"), 503, "encoder_unavailable"),
        (encoding.LibraryMissing("?"), 501, "library_missing"),
        (encoding.QueueClosed("?"), 503, "stopping"),
        (encoding.InvalidTokens("?", 0), 422, "invalid_content"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else str(each),
)
def test_the_most_particular_class_decides(error, status, code):
    answer = problem_response(error)
    assert (answer.status_code, answer.problem["status"], answer.problem["code"]) == (status, status, code)
    assert ("errors" in answer.problem) == (status == 422)
