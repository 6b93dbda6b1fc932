#!/usr/bin/env bash
# nanopq 0.2.2: OPQ with metric="dot".
#
# A guess: after fit, a table of distances holds products of the query and the decoded rows, as PQ's does.
#
# What happens: fit makes its quantiser anew and without the metric. The table holds squared distances, and whoever
# takes the largest number for the best row gets the farthest one.
#
#   nanopq 0.2.2
#   PQ: metric dot, after fit dot; the largest number has the largest product: True
#   OPQ: metric dot, after fit l2; the largest number has the largest product: False

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check nanopq==0.2.2 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import nanopq
import numpy as np

print("nanopq", version("nanopq"))
rows = np.random.default_rng(0).standard_normal((2000, 16)).astype(np.float32)
for kind in (nanopq.PQ, nanopq.OPQ):
    quantiser = kind(M=4, Ks=64, metric="dot", verbose=False)
    inner = getattr(quantiser, "pq", quantiser)
    before = inner.metric
    quantiser.fit(rows, **({"seed": 1} if kind is nanopq.PQ else {"rotation_iter": 2, "seed": 1}))
    codes = quantiser.encode(rows)
    largest = np.argmax(quantiser.dtable(rows[0]).adist(codes))
    products = quantiser.decode(codes) @ rows[0]
    is_best = bool(np.isclose(products[largest], products.max()))
    after = getattr(quantiser, "pq", quantiser).metric
    print(
        f"{kind.__name__}: metric {before}, after fit {after}; "
        f"the largest number has the largest product: {is_best}"
    )
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
