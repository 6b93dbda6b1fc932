"""What the stores of earlier schemas in this folder hold; as a program it makes one, with the code of its time.

    git archive COMMIT attention service | tar x -C /tmp/then
    cp tests/service/storage/sqlite/upgrades/made.py /tmp/then
    cd /tmp/then && PYTHONPATH=/tmp/then python made.py schema_N.sqlite3.xz

| file | COMMIT | |
|---|---|---|
| `schema_1.sqlite3.xz` | bbc5d11 | the last one that wrote schema 1 |
| `schema_2_first.sqlite3.xz` | d51c8bf | the first that wrote schema 2 |
| `schema_2.sqlite3.xz` | f953aa4 | the last |
| `schema_3.sqlite3.xz` | eb81045 | as this file was written |
| `schema_4.sqlite3.xz` | the one after 2692cd8 | the first that wrote schema 4 |
| `schema_5.sqlite3.xz` | the one after 0a54785b | the first that wrote schema 5 |
| `schema_6.sqlite3.xz` | e8860049 | the last one that wrote schema 6 |

So it takes nothing but what all of these have: it imports the store of whichever commit it runs under.
"""

from __future__ import annotations

import dataclasses
import lzma
import sys
import tempfile
from pathlib import Path
from typing import Any

SETTINGS: dict[str, dict[str, Any]] = {
    "books": {"similarity": "cosine", "temperature": 0.05, "encoder": "all-MiniLM-L6-v2", "precision": "float32"},
    "vectors": {"similarity": "dot", "temperature": 0.25, "value_from": "key", "null": 0.5},
    "empty": {"similarity": "gaussian", "temperature": 2.0, "null": "auto"},
}


def documents(*, several: bool) -> dict[str, list[dict[str, Any]]]:
    """Return the documents by collection; with documents of `several` keys and of none, if the schema had them."""
    books: list[dict[str, Any]] = [
        {
            "id": f"id {i} 猫",
            "key": None if i % 5 == 0 else f"key {i % 7} of some words",
            "value": [{"title": f"Book {i}", "pages": i}, "text", None, 1.5][i % 4],
            "metadata": [{}, {"year": 1990 + i, "tags": ["a", None, 2.5]}, {"big": 2**60, "no": False}][i % 3],
            "keys": [[float(i), 0.1, -1.0]],
            "value_vector": [float(i), 7.0],
        }
        for i in range(40)
    ]
    vectors = [{"id": f"{i}", "key": None, "value": None, "metadata": {}, "keys": [[1.0, i / 4]]} for i in range(20)]
    if several:
        books.append({"id": "keyless", "key": None, "value": 1, "metadata": {}, "keys": [], "value_vector": [1.0, 2.0]})
        vectors.append({"id": "two", "key": "a b", "value": 2, "metadata": {}, "keys": [[1.0, 2.0], [3.0, 4.0]]})
    return {"books": books, "vectors": vectors, "empty": []}


def _record(kind: Any, document: dict[str, Any], *, several: bool) -> Any:
    import numpy as np

    fields = {name: document[name] for name in ("id", "key", "value", "metadata")}
    value = document.get("value_vector")
    fields["value_vector"] = None if value is None else np.array(value, np.float32)
    if "value_sent" in {field.name for field in dataclasses.fields(kind)}:
        fields["value_sent"] = document["value"] != document["key"]
    keys = np.array(document["keys"], np.float32)
    return (
        kind(**fields, keys=keys if len(keys) else keys.reshape(0, 3))
        if several
        else kind(**fields, key_vector=keys[0])
    )


def _write(directory: Path) -> None:
    from service import storage

    several = "keys" in {field.name for field in dataclasses.fields(storage.DocumentRecord)}
    with storage.SQLiteStore.open(directory) as store:
        for name, settings in SETTINGS.items():
            with store.writing() as writer:
                made = writer.create_collection(name, storage.CollectionSettings(**settings))
            kind = storage.DocumentRecord
            records = [_record(kind, document, several=several) for document in documents(several=several)[name]]
            # Written twice, so that there are free pages, and row numbers that are gone.
            for written in ([dataclasses.replace(record, value="old") for record in records], records):
                for first in range(0, len(records), 16):
                    with store.writing() as writer:
                        writer.upsert(made.id, written[first : first + 16])


def main() -> None:
    """Make the file that is named."""
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:
        _write(Path(directory))
        target.write_bytes(lzma.compress((Path(directory) / "softkv.sqlite3").read_bytes(), preset=9))


if __name__ == "__main__":
    main()
