#!/usr/bin/env bash
# lancedb 0.40.0: a search by cosine, in a table with a vector of zeros.
#
# A guess: each row comes back, as with the other distances. The row of zeros is last, with a distance
# of 1 or none.
#
# What happens: the row is left out, without a word, though fewer than the limit are returned. A query
# of zeros returns nothing at all.
#
#   lancedb 0.40.0
#   [1.0, 0.0] by dot: {'right': -1.0, 'zero': 1.0, 'up': 1.0}
#   [1.0, 0.0] by cosine: {'right': 0.0, 'up': 1.0}
#   [0.0, 0.0] by dot: {'zero': 1.0, 'right': 1.0, 'up': 1.0}
#   [0.0, 0.0] by cosine: {}

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check lancedb==0.40.0 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
import tempfile
from importlib.metadata import version

import lancedb

print("lancedb", version("lancedb"))
rows = [{"id": name, "vector": vector} for name, vector in (("zero", [0.0, 0.0]), ("right", [2.0, 0.0]), ("up", [0.0, 1.0]))]
with tempfile.TemporaryDirectory() as folder:
    table = lancedb.connect(folder).create_table("rows", rows)
    for query in ([1.0, 0.0], [0.0, 0.0]):
        for distance in ("dot", "cosine"):
            answer = table.search(query).distance_type(distance).limit(3).to_list()
            print(f"{query} by {distance}:", {row["id"]: row["_distance"] for row in answer})
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
