#!/usr/bin/env bash
# usearch 2.26.6: dtype="i8" with metric="l2sq".
#
# A guess: floats are rounded to int8, or scaled by one factor for the index, and distances are
# those between the rows, up to that factor.
#
# What happens: each vector is scaled by itself, to length 127. [0, 2] and [0, 20] are stored as the
# same row, at distance 0, although L2 is meant to tell them apart. Vectors that come as int8 are
# stored as they are, so the same numbers are stored differently by type.
#
#   usearch 2.26.6
#   stored: [[0, 127], [0, 127], [0, 2]]
#   distances from [0, 2] as floats: {0: 0.0, 1: 0.0, 2: 15625.0}

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check usearch==2.26.6 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import numpy as np
from usearch.index import Index

index = Index(ndim=2, metric="l2sq", dtype="i8")
index.add(0, np.array([0, 2], np.float32))
index.add(1, np.array([0, 20], np.float32))
index.add(2, np.array([0, 2], np.int8))
print("usearch", version("usearch"))
print("stored:", [index.get(key).tolist() for key in range(3)])
matches = index.search(np.array([0, 2], np.float32), 3)
found = zip(matches.keys.tolist(), matches.distances.tolist(), strict=True)
print("distances from [0, 2] as floats:", dict(sorted(found)))
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
