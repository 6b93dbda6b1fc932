"""Many documents into a collection: all or none in one request, or any number in parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from softkv.answers.document import Document, wire_document
from softkv.answers.info import Written
from softkv.answers.report import Report
from softkv.calls.call import WRITE_SECONDS, Call
from softkv.calls.documents import written
from softkv.calls.place import Place
from softkv.calls.rows import Rows, rows_of
from softkv.calls.upload import OnConflict, Progress, Upload, mode
from softkv.errors import Flaw
from softkv.problems import flawed, refuse
from softkv.wire import checks
from softkv.wire.body import body

if TYPE_CHECKING:
    from softkv.wire.vectors import Matrix


def write(
    place: Place, documents: Iterable[Document | Mapping[str, Any]], *, on_conflict: OnConflict = "replace"
) -> Call[Written]:
    """Write documents in one transaction, all of them or none.

    Args:
        on_conflict: what becomes of a document whose id is taken: it is replaced, skipped, or everything fails.

    Raises:
        Conflict: an id is taken, with `on_conflict="fail"`.
        Invalid: one of them is wrong; `errors` points at it.
        TooLarge: they are more than one request may bring; `upsert` takes any number.
    """
    given = checks.several(documents, "/documents")
    odd = {at: checks.came(each) for at, each in enumerate(given) if not isinstance(each, Document | Mapping)}
    refuse(Flaw(f"/documents/{at}", f"wanted an object, got {came}") for at, came in odd.items())
    sent = [wire_document(each, f"/documents/{at}") for at, each in enumerate(given)]
    flaws = (checks.document_id(each.get("id"), f"/documents/{at}/id") for at, each in enumerate(sent))
    refuse(flaw for each in flaws for flaw in each)
    content = body({"documents": sent, "mode": mode(on_conflict)})
    return Call("POST", place.documents, written, content=content, once=True, timeout=WRITE_SECONDS)


def upsert(
    place: Place,
    rows: Rows | None = None,
    *,
    ids: Sequence[str] | None = None,
    keys: Sequence[str | None] | None = None,
    key_vectors: Matrix | None = None,
    values: Sequence[Any] | None = None,
    value_vectors: Matrix | None = None,
    metadata: Sequence[Mapping[str, Any] | None] | None = None,
    on_conflict: OnConflict = "replace",
    progress: Progress = False,
    resume: Report | None = None,
) -> Upload:
    """Write rows of any number, a thousand at a time, each thousand at once; a row that is wrong keeps none back.

    Rows are read as they are sent, so that a generator of any length takes little memory. What they are: documents, or
    objects with their fields; a DataFrame or a table of Arrow's, whose further columns are metadata; or columns.

    Args:
        rows: in place of columns.
        ids: of columns, the document's, and in its order what else is given of each.
        keys: the key texts, None for none.
        key_vectors: a matrix with a row a document.
        values: what is found there.
        value_vectors: a matrix with a row a document.
        metadata: an object for each, None for none.
        on_conflict: what becomes of a row whose id is taken: it replaces what is there, is skipped, or the thousand
            that it is in fails and nothing after it is sent.
        progress: True draws how far it is; a function is called with the report as it grows.
        resume: the report of an upload that broke off, with all of its rows: it goes on behind those that are
            acknowledged. A `Report()` of your own is filled as it goes.

    Returns:
        What became of them: which were refused, by their place among the rows, and why.

    Raises:
        Conflict: an id is taken, with `on_conflict="fail"`.
        Error: whatever ends it early; its `report` says how far it was.
    """
    mode(on_conflict)
    if not isinstance(progress, bool) and not callable(progress):
        raise flawed("", f"progress: wanted True, False or a function, got {progress!r}")
    if resume is not None and not isinstance(resume, Report):
        raise flawed("", f"resume: wanted the report of an upload that broke off, got {resume!r}")
    columns = {"id": ids, "key": keys, "key_vector": key_vectors, "value": values}
    columns |= {"value_vector": value_vectors, "metadata": metadata}
    given, total = rows_of(rows, {name: column for name, column in columns.items() if column is not None})
    return Upload(place, given, total, on_conflict, progress, Report() if resume is None else resume)
