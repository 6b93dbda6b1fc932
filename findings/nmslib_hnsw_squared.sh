#!/usr/bin/env bash
# nmslib-metabrainz 2.1.3: the distances of space "l2" under its methods.
#
# A guess: the space says what a distance is, and the method only how rows are found.
#
# What happens: HNSW answers with the square, all other methods with the distance. A threshold that was
# found by brute force refuses other rows under HNSW.
#
#   nmslib-metabrainz 2.1.3
#   brute_force: [0.0, 3.0, 4.0]
#   vptree: [0.0, 3.0, 4.0]
#   sw-graph: [0.0, 3.0, 4.0]
#   hnsw: [0.0, 9.0, 16.0]

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check nmslib-metabrainz==2.1.3 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import nmslib
import numpy as np

print("nmslib-metabrainz", version("nmslib-metabrainz"))
for method in ("brute_force", "vptree", "sw-graph", "hnsw"):
    index = nmslib.init(method=method, space="l2")
    index.addDataPointBatch(np.array([[0, 0], [3, 0], [0, 4]], np.float32))
    index.createIndex()
    _, distances = index.knnQuery(np.zeros(2, np.float32), k=3)
    print(f"{method}: {distances.tolist()}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
