"""Collections of chroma, from the directory where it keeps them: SQLite, and a file of vectors for each collection.

The newest vectors lie in SQLite, in the queue of what has been written; the others have moved into the collection's own
files, which hold them by numbers, and a pickle that says whose number is which.
"""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.commands.errors import CommandError, Misused
from service.commands.files.source import DocumentSource, Entry
from service.commands.stores.record import Wanted, chosen, settings_of
from service.commands.stores.unpickling import Plain, unpickled

_SIMILARITIES = {"l2": "gaussian", "ip": "dot", "cosine": "cosine"}
_DOCUMENT, _URI = "chroma:document", "chroma:uri"
_ADDED, _DELETED = 0, 3
_ENCODINGS = {"FLOAT32": "<f4", "INT32": "<i4"}
# Of hnswlib's file: which version; where levels begin; room for how many, and how many there are; how long one is, and
# where in it stand its label and its vector.
_HEADER = struct.Struct("<i6Q")
_INDEX = [("chromadb.segment.impl.vector.local_persistent_hnsw", "PersistentData")]


def open_chroma(path: Path, wanted: Wanted) -> DocumentSource:
    """A collection of the directory `path`, which nothing writes to meanwhile.

    Raises:
        Misused: that is no directory of chroma's.
        CommandError: it has no such collection, or holds what cannot be read.
    """
    file = path / "chroma.sqlite3"
    if not file.is_file():
        raise Misused(
            f"{path} holds no chroma.sqlite3: give the directory of chroma's PersistentClient, or of its server"
        )
    with closing(_opened(file)) as database:
        names = [name for (name,) in database.execute("SELECT DISTINCT name FROM collections ORDER BY name")]
        name = chosen(wanted.collection, names, str(path))
        found = database.execute("SELECT id FROM collections WHERE name = ?", [name]).fetchall()
        if len(found) > 1:
            raise CommandError(f"{path} has a collection {name!r} in {len(found)} databases: import is for one of them")
        (collection,) = found[0]
        segments = dict(database.execute("SELECT scope, id FROM segments WHERE collection = ?", [collection]))
        distance = _distance(database, collection)
        rows = "SELECT count(*) FROM embeddings WHERE segment_id = ?"
        (total,) = database.execute(rows, [segments["METADATA"]]).fetchone()

    def entries() -> Iterator[Entry]:
        with closing(_opened(file)) as database:
            vectors = _vectors(database, path, collection, segments)
            yield from _entries(database, segments["METADATA"], vectors, wanted)

    settings = settings_of(distance, _SIMILARITIES, wanted, f"{path}, collection {name!r},")
    return DocumentSource(total, entries, settings, name, unit="record")


def _opened(file: Path) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
        database.execute("SELECT 1 FROM embeddings_queue, collections, segments, embeddings LIMIT 0")
    except sqlite3.DatabaseError as error:
        raise CommandError(f"{file} is not what chroma 0.4 and later keep ({error})") from None
    return database


def _distance(database: sqlite3.Connection, collection: str) -> str:
    """By what it compares: each version of chroma wrote that elsewhere."""
    asked = "SELECT str_value FROM collection_metadata WHERE collection_id = ? AND key = 'hnsw:space'"
    said = database.execute(asked, [collection]).fetchone()
    if said is not None:
        return str(said[0])
    columns = {name for _, name, *_ in database.execute("PRAGMA table_info(collections)")}
    ways = {
        "schema_str": ("keys", "#embedding", "float_list", "vector_index", "config", "space"),
        "config_json_str": ("hnsw", "space"),
    }
    for column in ways.keys() & columns:
        (text,) = database.execute(f"SELECT {column} FROM collections WHERE id = ?", [collection]).fetchone()
        said = json.loads(text or "{}")
        for step in ways[column]:
            said = said.get(step) if isinstance(said, dict) else None
        if said is not None:
            return str(said)
    return "l2"


def _entries(
    database: sqlite3.Connection, segment: str, vectors: Mapping[str, NDArray[Any]], wanted: Wanted
) -> Iterator[Entry]:
    rows = database.execute("SELECT id, embedding_id FROM embeddings WHERE segment_id = ? ORDER BY id", [segment])
    lists = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'embedding_metadata_array'").fetchone()
    for number, (row, name) in enumerate(rows, start=1):
        metadata: dict[str, Any] = {key: _value(*each) for key, *each in database.execute(_metadata(""), [row])}
        for key, *each in database.execute(_metadata("_array"), [row]) if lists else ():
            metadata.setdefault(key, []).append(_value(*each))
        text, uri = metadata.pop(_DOCUMENT, None), metadata.pop(_URI, None)
        fields = metadata if uri is None else {"uri": uri, **metadata}
        yield wanted.entry(number, name, fields, vectors.get(name), text)


def _metadata(kind: str) -> str:
    return (
        "SELECT key, string_value, int_value, float_value, bool_value "
        f"FROM embedding_metadata{kind} WHERE id = ? ORDER BY rowid"
    )


def _value(text: str | None, whole: int | None, number: float | None, truth: int | None) -> Any:
    if truth is not None:
        return bool(truth)
    return next((each for each in (text, whole, number) if each is not None), None)


def _vectors(
    database: sqlite3.Connection, path: Path, collection: str, segments: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """The vector of each id: what has moved into files, and what was written since.

    Raises:
        CommandError: something was written of which the metadata do not know yet.
    """
    moved, known = (_sequence(database, segments[scope]) for scope in ("VECTOR", "METADATA"))
    found = _moved(path / segments["VECTOR"])
    queue = "SELECT seq_id, operation, id, vector, encoding FROM embeddings_queue WHERE topic LIKE ? ORDER BY seq_id"
    for sequence, operation, name, vector, encoding in database.execute(queue, [f"%/{collection}"]):
        if sequence > known:
            raise CommandError(
                f"{path} has writes that chroma has not finished: open it with chroma once, and close it"
            )
        if sequence <= moved:
            continue
        if operation == _DELETED:
            found.pop(name, None)
        elif vector is not None and not (operation == _ADDED and name in found):
            found[name] = np.frombuffer(vector, _ENCODINGS[encoding])
    return found


def _sequence(database: sqlite3.Connection, segment: str) -> int:
    """Up to which write a segment has come; early versions of chroma wrote bytes."""
    found = database.execute("SELECT seq_id FROM max_seq_id WHERE segment_id = ?", [segment]).fetchone()
    said = 0 if found is None else found[0]
    return int.from_bytes(said, "big") if isinstance(said, bytes) else int(said)


def _moved(folder: Path) -> dict[str, NDArray[Any]]:
    """The vectors that have moved into a collection's own files."""
    index = folder / "index_metadata.pickle"
    if not index.is_file():
        return {}
    said = unpickled(index.read_bytes(), _INDEX, str(index))
    labels = (said.said if isinstance(said, Plain) else said)["id_to_label"]
    _, _, _, count, size, label, vector = _HEADER.unpack_from((folder / "header.bin").read_bytes())
    element = np.dtype(
        {
            "names": ["vector", "label"],
            "formats": [("<f4", (label - vector) // 4), "<u8"],
            "offsets": [vector, label],
            "itemsize": size,
        }
    )
    if not count:
        return {}
    elements = np.memmap(folder / "data_level0.bin", element, "r", shape=(count,))
    places = {each: place for place, each in enumerate(elements["label"].tolist())}
    return {name: elements["vector"][places[each]] for name, each in labels.items()}
