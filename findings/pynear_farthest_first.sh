#!/usr/bin/env bash
# pynear 2.6.0: searchKNN.
#
# A guess: neighbours come nearest first. Its page says so.
#
# What happens: the trees and HNSW find the k nearest and return the farthest of them first. The first of
# ten is the tenth best. IVFFlatL2Index returns the nearest first, and squares the distances.
#
#   pynear 2.6.0
#   VPTreeL2Index: rows [2, 1, 0], distances [3.0, 1.0, 0.0]
#   VPTreeL1Index: rows [2, 1, 0], distances [3.0, 1.0, 0.0]
#   HNSWL2Index: rows [2, 1, 0], distances [3.0, 1.0, 0.0]
#   IVFFlatL2Index: rows [0, 1, 2], distances [0.0, 1.0, 9.0]

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pynear==2.6.0 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import numpy as np
import pynear

rows = np.array([[0, 0], [1, 0], [3, 0], [7, 0]], np.float32)
print("pynear", version("pynear"))
for name in ("VPTreeL2Index", "VPTreeL1Index", "HNSWL2Index", "IVFFlatL2Index"):
    index = getattr(pynear, name)()
    index.set(rows)
    found, distances = index.searchKNN(rows[:1], 3)
    print(f"{name}: rows {found[0]}, distances {distances[0]}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
