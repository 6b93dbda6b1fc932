"""Objects of NDJSON and of JSON arrays: documents, exports, sets of BEIR, and results of OpenAI's batches."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from softkv.problems import invalid_value
from softkv.tables.cells import parse_json, shorten
from softkv.tables.content import Content, NumberedRow, encoding_of, own_file, unreadable
from softkv.tables.packing import BinaryOpener, File
from softkv.tables.stores import TEXT_BEHIND, Answer, bulk_rows, is_action, names_of, read_columns, read_fetched

EXPORT_VERSION = 1
EXPORT_MARK = "softkv_export"
EXPORT_SETTINGS = (
    "similarity",
    "dimension",
    "value_dimension",
    "encoder",
    "value_from",
    "temperature",
    "null",
    "defaults",
    "expire_after",
    "late",
)


_ARRAY = "write [object, object, …], or an object on each line of a .ndjson file"


def read_lines_of_json(file: File) -> Content:
    """Return the objects of a file of NDJSON; the first line may describe an exported collection.

    Raises:
        Invalid: a later version wrote the export.
    """

    def rows() -> Iterator[NumberedRow]:
        with file.open() as lines:
            yield from parse_lines(lines)

    first = next(rows(), None)
    if first is not None and _is_batch_result(first[1]):
        return Content(["id", "key_vector"], lambda: _batch_rows(rows()), unit="line")
    if first is not None and is_action(first[1]):
        count = sum(1 for _ in bulk_rows(rows()))
        return Content(names_of(bulk_rows(rows())), lambda: bulk_rows(rows()), count, unit="line")
    settings = export_settings(first)
    with file.open() as lines:
        total = sum(1 for line in lines if line.removeprefix(BOM_UTF8).strip())
    if settings is None:
        return Content(None, rows, total, unit="line")
    name, created = settings
    return Content(None, lambda: islice(rows(), 1, None), total - 1, unit="line", settings=created, name=name)


def read_stream_of_json(lines: Iterable[bytes]) -> Content:
    """Return the objects of NDJSON that can be read only once, such as standard input."""
    rows = parse_lines(lines)
    first = next(rows, None)
    settings = export_settings(first)
    if settings is not None:
        return Content(None, lambda: rows, unit="line", settings=settings[1], name=settings[0])

    def all_rows() -> Iterator[NumberedRow]:
        if first is not None:
            yield first
        yield from rows

    return Content(None, all_rows, unit="line")


def parse_lines(lines: Iterable[bytes]) -> Iterator[NumberedRow]:
    """Yield the number of each line that is not blank, and its object or why it has none."""
    for number, line in enumerate(lines, start=1):
        content = line.removeprefix(BOM_UTF8).strip()
        if not content:
            continue
        try:
            yield number, _require_object(parse_json(content))
        except UnicodeDecodeError as error:
            yield number, f"it is not UTF-8: {error}"
        except (ValueError, RecursionError) as error:
            yield number, f"it is not JSON: {error}"


def _require_object(value: Any) -> Mapping[str, Any] | str:
    """Return an object of JSON, or the flaw of another value."""
    if isinstance(value, dict):
        return value
    return f"expected a document as a JSON object, got {shorten(json.dumps(value, ensure_ascii=False))}"


def read_array_of_json(file: File) -> Content:
    """Return the objects of a JSON array, or of the list in an answer of a store of vectors.

    The text is held in memory, its objects one at a time.

    Raises:
        Invalid: the file has no such array.
    """
    path = file.path
    with file.open() as stream:
        content = stream.read()
    try:
        text = content.decode(encoding_of(content[:4]))
    except UnicodeError as error:
        raise unreadable(path, f"is not in UTF-8: {error}") from None
    try:
        answer = Answer(text)
    except (ValueError, RecursionError) as error:
        raise unreadable(path, _flaw_of_json(error, text)) from None
    lists = [rows for rows in answer.lists if rows.total] or answer.lists[:1]
    if len(lists) > 1:
        names = " and ".join(f"{rows.name!r} of {rows.total:,}" for rows in lists)
        raise unreadable(path, f"has several lists of rows, {names}: keep one list a file")
    if not lists:
        if (table := read_columns(text, path) or read_fetched(text)) is not None:
            return table
        raise unreadable(path, f"is not a JSON array: {_ARRAY}")
    (chosen,) = lists

    def rows() -> Iterator[NumberedRow]:
        for number, value in enumerate(answer.rows(chosen), start=1):
            yield number, _require_object(value)

    return Content(None, rows, chosen.total, notices=answer.notices(chosen.total))


def _flaw_of_json(error: Exception, text: str) -> str:
    """Return why a text is not one value of JSON."""
    if not isinstance(error, json.JSONDecodeError) or error.msg != TEXT_BEHIND:
        return f"is not JSON: {error}" if text.strip() else f"is empty: {_ARRAY}"
    if text.lstrip().startswith("["):
        return f"goes on in line {error.lineno} after its list: keep one list a file"
    return f"goes on in line {error.lineno} after its first value: rename it .ndjson if it has an object on each line"


def export_settings(first: NumberedRow | None) -> tuple[str, dict[str, Any]] | None:
    """Return the name and the settings of an exported collection, if this is its first line; otherwise None.

    Raises:
        Invalid: a later version wrote it.
    """
    if first is None or isinstance(first[1], str) or EXPORT_MARK not in first[1] or "id" in first[1]:
        return None
    head = first[1]
    name, settings = head.get("collection"), head.get("settings")
    if head[EXPORT_MARK] != EXPORT_VERSION:
        raise invalid_value(
            "",
            f"the file begins as an export of version {head[EXPORT_MARK]}, and this softkv reads version "
            f"{EXPORT_VERSION}: read it with the version that wrote it, or leave out its first line",
        )
    if not isinstance(name, str) or not isinstance(settings, dict):
        raise invalid_value(
            "",
            "the file begins as an export, but its first line lacks the name of the collection, or an object of its "
            "settings: export it again, or leave out its first line",
        )
    return name, {setting: settings[setting] for setting in settings if setting in EXPORT_SETTINGS}


def _is_batch_result(cells: Mapping[str, Any] | str) -> bool:
    """Return whether a line is a result of OpenAI's batch calls."""
    return not isinstance(cells, str) and {"custom_id", "response"} <= cells.keys()


def _batch_rows(rows: Iterable[NumberedRow]) -> Iterator[NumberedRow]:
    """Yield the embeddings of batch calls: of one with several texts, the ids end in /0, /1, …"""
    for number, cells in rows:
        if isinstance(cells, str):
            yield number, cells
            continue
        name, response = cells.get("custom_id"), cells.get("response")
        body = response.get("body") if isinstance(response, dict) else None
        embeddings = body.get("data") if isinstance(body, dict) else None
        if not isinstance(embeddings, list) or not all(isinstance(one, dict) for one in embeddings) or not embeddings:
            yield number, f"the call {name!r} has no embeddings: {_reason_of_batch(cells, body)}"
            continue
        for position, embedding in enumerate(embeddings):
            id_ = name if len(embeddings) == 1 else f"{name}/{embedding.get('index', position)}"
            yield number, {"id": id_, "key_vector": _embedding(embedding.get("embedding"))}


def _reason_of_batch(cells: Mapping[str, Any], body: Any) -> str:
    """Return why a call of a batch failed, as its line says."""
    errors = (cells.get("error"), body.get("error") if isinstance(body, dict) else None)
    messages = [error.get("message") for error in errors if isinstance(error, dict)]
    return next((message for message in messages if isinstance(message, str)), "it failed")


def _embedding(value: Any) -> Any:
    """Return an embedding as numbers; OpenAI's base64 becomes softkv's, which is the same."""
    return {"base64": value} if isinstance(value, str) else value


_OWN = {"id": "metadata.id", "key": "metadata.key"}
"""The metadata for the fields of BEIR's documents that are named as fields of softkv's."""


def read_corpus(open_file: BinaryOpener) -> Content:
    """Return the documents of a set of BEIR: the key is the title and the text, as BEIR's own models read them."""

    def rows() -> Iterator[NumberedRow]:
        with open_file() as file:
            for number, cells in parse_lines(file):
                if isinstance(cells, str):
                    yield number, cells
                    continue
                title, text = cells.get("title") or "", cells.get("text") or ""
                if not isinstance(title, str) or not isinstance(text, str):
                    yield number, 'it is not a document: expected {"_id": …, "title": "a text", "text": "a text"}'
                    continue
                rest = {_OWN.get(name, name): cell for name, cell in cells.items() if name not in ("_id", "text")}
                yield number, {**rest, "id": cells.get("_id"), "key": f"{title} {text}".strip()}

    return Content(["id", "key", "title", "metadata"], rows, sum(1 for _ in rows()), unit="line")


def beir_file(folder: Path, name: str) -> Path | None:
    """Return the file of a folder of BEIR; None if it is not there.

    Raises:
        Invalid: it is a link out of the folder.
    """
    return own_file(folder, f"{name}.jsonl") or own_file(folder, f"{name}.jsonl.gz")
