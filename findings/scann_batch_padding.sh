#!/usr/bin/env bash
# scann 1.4.2: search_batched for more results than there are rows.
#
# A guess: as many as there are come back, as `search` returns them, or the free places hold -1.
#
# What happens: the free places hold row 0, which exists, with the score NaN. Unless scores are tested for
# NaN, the first row is a result of each short answer, several times.
#
#   scann 1.4.2
#   search: [2, 1, 0] [2.0, 1.0, -1.0]
#   search_batched: [2, 1, 0, 0, 0] [2.0, 1.0, -1.0, nan, nan]

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check scann==1.4.2 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import numpy as np
import scann

rows = np.array([[-1, 0], [1, 0], [2, 0]], np.float32)
query = np.array([1, 0], np.float32)
searcher = scann.scann_ops_pybind.builder(rows, 5, "dot_product").score_brute_force().build()
print("scann", version("scann"))
found, products = searcher.search(query, 5)
print("search:", found.tolist(), products.tolist())
found, products = searcher.search_batched(query[None], 5)
print("search_batched:", found[0].tolist(), products[0].tolist())
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output" 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
