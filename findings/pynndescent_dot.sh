#!/usr/bin/env bash
# pynndescent 0.7.0: metric="dot".
#
# A guess: the largest inner product is nearest.
#
# What happens: rows and queries are scaled to length 1 first, so "dot" is cosine distance. A row
# ten times as long as another in its direction is no nearer. The inner product is
# metric="inner_product", which returns its negative.
#
#   pynndescent 0.7.0
#   inner products of rows 0 and 1: [100.29, 10.03]
#   dot: {0: 0.0, 1: 0.0}
#   inner_product: {0: -100.29, 1: -10.03}

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pynndescent==0.7.0 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import numpy as np
from pynndescent import NNDescent

rows = np.random.default_rng(0).standard_normal((200, 8)).astype(np.float32)
rows[0] = 10 * rows[1]
query = rows[1:2]
print("pynndescent", version("pynndescent"))
print("inner products of rows 0 and 1:", [round(float(row @ query[0]), 2) for row in rows[:2]])
for metric in ("dot", "inner_product"):
    index = NNDescent(rows, metric=metric, n_neighbors=20, random_state=0)
    numbers, distances = index.query(query, k=2)
    found = dict(sorted(zip(numbers[0].tolist(), distances[0].tolist(), strict=True)))
    print(f"{metric}:", {number: round(distance, 2) + 0.0 for number, distance in found.items()})
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
