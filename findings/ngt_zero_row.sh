#!/usr/bin/env bash
# ngt 2.8.0.post1: batch_insert of rows among which one is zero, with "Normalized Cosine".
#
# A guess: the row keeps its number and is never found, as with "Cosine", or it is refused.
#
# What happens: it is left out, with a warning in the output, and the rows after it move up by one number.
# From there on, a search names the wrong rows.
#
#   ngt 2.8.0.post1
#   Cosine: row 2 is found as 2
#   Cosine: row 3 is found as 3
#   Normalized Cosine: row 2 is found as 1
#   Normalized Cosine: row 3 is found as 2

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check ngt==2.8.0.post1 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

import ngtpy
import numpy as np

rows = np.array([[1, 0], [0, 0], [0, 1], [-1, 0]], np.float32)
print("ngt", version("ngt"))
for distance in ("Cosine", "Normalized Cosine"):
    path = str(Path(__file__).with_name(distance))
    ngtpy.create(path, 2, distance_type=distance)
    index = ngtpy.Index(path)
    index.batch_insert(rows)
    for number in (2, 3):
        print(f"{distance}: row {number} is found as", index.search(rows[number], 1)[0][0])
    index.close()
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output" 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
