#!/usr/bin/env bash
# nano-vectordb 0.0.4.3: two new records with the same vector and no id.
#
# A guess: a record without "__id__" gets a fresh id, so two such records are two rows.
#
# What happens: the id is a hash of the vector. The second record is dropped within a call, and
# replaces the first in a later call. Two texts that embed alike, such as copies in two documents,
# become one.
#
#   nano-vectordb 0.0.4.3
#   two records in one call: 1 ['page 2']
#   a third in a second call: 1 ['page 3']

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check nano-vectordb==0.0.4.3 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
import logging
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from nano_vectordb import NanoVectorDB

logging.disable()
print("nano-vectordb", version("nano-vectordb"))
with TemporaryDirectory() as folder:
    database = NanoVectorDB(2, storage_file=str(Path(folder) / "vectors.json"))
    vector = np.array([1.0, 0.0])

    def texts():
        return len(database), [row["text"] for row in database.query(vector, top_k=9)]

    database.upsert([{"__vector__": vector, "text": "page 1"}, {"__vector__": vector, "text": "page 2"}])
    print("two records in one call:", *texts())
    database.upsert([{"__vector__": vector, "text": "page 3"}])
    print("a third in a second call:", *texts())
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
