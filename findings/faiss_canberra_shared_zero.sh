#!/usr/bin/env bash
# faiss 1.15.1: IndexFlat with METRIC_Canberra, and rows that share a zero with the query.
#
# A guess: as in scipy, a dimension where both values are zero adds nothing; a row is at distance 0
# from itself, and an exhaustive search for 3 of 3 rows returns 3.
#
# What happens: 0/0 makes the distance NaN, and NaN is never among the best. Every row with a zero
# where the query has one is left out, the query's own row too, and -1 stands in its place.
#
#   faiss 1.15.1 scipy 1.17.1
#   query [1.0, 0.0]: faiss finds [2, -1, -1], scipy's distances [0.0, 0.3333, 1.0]
#   query [2.0, 0.0]: faiss finds [2, -1, -1], scipy's distances [0.3333, 0.0, 1.3333]
#   query [1.0, 1.0]: faiss finds [2, 0, 1], scipy's distances [1.0, 1.3333, 0.0]

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check faiss-cpu==1.15.1 scipy==1.17.1 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import faiss
import numpy as np
from scipy.spatial.distance import cdist

rows = np.array([[1, 0], [2, 0], [1, 1]], np.float32)
index = faiss.IndexFlat(2, faiss.METRIC_Canberra)
index.add(rows)
print("faiss", faiss.__version__, "scipy", version("scipy"))
for query in rows:
    distances = cdist(query[None], rows, "canberra")[0]
    print(f"query {query.tolist()}: faiss finds {index.search(query[None], 3)[1][0].tolist()},", end=" ")
    print(f"scipy's distances {np.round(distances, 4).tolist()}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
