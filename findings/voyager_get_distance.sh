#!/usr/bin/env bash
# voyager 2.2.3: get_distance of an index for inner products.
#
# A guess: the distance of two vectors, 1 minus their product, as query gives it. It depends on the
# two vectors alone.
#
# What happens: it depends on what the index holds. Each of the two vectors gets the extra component
# that makes the longest stored vector and them equally long, and the product counts it. Only query
# takes it for zero. So the same call gives another number once a longer vector is added.
#
#   voyager 2.2.3
#   get_distance, one row: -2.0
#   get_distance after a longer row: -74.0
#   query: {1: -9.0, 0: -2.0}

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check voyager==2.2.3 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import numpy as np
from voyager import Index, Space

print("voyager", version("voyager"))
query, row = np.array([1, 0], dtype=np.float32), np.array([3, 4], dtype=np.float32)
index = Index(Space.InnerProduct, num_dimensions=2)
index.add_item(row)
print("get_distance, one row:", index.get_distance(query, row))
index.add_item(np.array([10, 0], dtype=np.float32))
print("get_distance after a longer row:", index.get_distance(query, row))
ids, distances = index.query(query, k=2)
print("query:", dict(zip(ids.tolist(), distances.tolist(), strict=True)))
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
