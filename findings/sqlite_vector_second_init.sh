#!/usr/bin/env bash
# sqliteai-vector 1.1.2: vector_init of a column that was initialised before, with another distance.
#
# A guess: the new distance counts from then on, or the call fails, as it does for another dimension.
#
# What happens: neither. The call succeeds, and this connection goes on with the first distance. A program
# that compares distances compares the first with itself.
#
#   sqliteai-vector 1.1.2
#   L2: new connection {1: 1.0, 2: 2.0, 0: 3.0}, the same {1: 1.0, 2: 2.0, 0: 3.0}
#   COSINE: new connection {0: 0.0, 1: 0.29, 2: 2.0}, the same {1: 1.0, 2: 2.0, 0: 3.0}
#   DOT: new connection {0: -4.0, 1: -1.0, 2: 1.0}, the same {1: 1.0, 2: 2.0, 0: 3.0}
#   dimension 3: Inconsistent vector dimension for 'rows.vector': existing=2, provided=3

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check sqliteai-vector==1.1.2 apsw==3.54.1.0 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

import apsw
import numpy as np
import sqlite_vector


def connect() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(str(Path(sqlite_vector.__file__).with_name("binaries") / "vector"))
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, vector BLOB)")
    for number, row in enumerate([[4, 0], [1, 1], [-1, 0]]):
        connection.execute("INSERT INTO rows VALUES (?, ?)", (number, np.array(row, np.float32).tobytes()))
    return connection


def search(connection: apsw.Connection, distance: str) -> str:
    connection.execute(f"SELECT vector_init('rows', 'vector', 'type=FLOAT32,dimension=2,distance={distance}')")
    query = np.array([1, 0], np.float32).tobytes()
    found = connection.execute("SELECT rowid, distance FROM vector_full_scan('rows', 'vector', ?, 3)", (query,))
    return str({row: round(value, 2) for row, value in found})


print("sqliteai-vector", version("sqliteai-vector"))
kept = connect()
for distance in ("L2", "COSINE", "DOT"):
    print(f"{distance}: new connection {search(connect(), distance)}, the same {search(kept, distance)}")
try:
    kept.execute("SELECT vector_init('rows', 'vector', 'type=FLOAT32,dimension=3')").fetchall()
except apsw.SQLError as error:
    print("dimension 3:", error)
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
