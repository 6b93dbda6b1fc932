#!/usr/bin/env bash
# sparse-dot-topn 1.2.0: sp_matmul_topn with threshold=None, the default.
#
# A guess: without a threshold the top_n largest products of a row are kept, negative ones too; sort
# only changes their order.
#
# What happens: negative products are dropped while top_n is below the number of columns. From there
# on they are kept, but with sort=True they are dropped again. A threshold below all products keeps
# them in each case.
#
#   sparse-dot-topn 1.2.0
#   threshold=None, top_n=3, sort=False: [2.0, 3.0]
#   threshold=None, top_n=3, sort=True: [3.0, 2.0]
#   threshold=None, top_n=4, sort=False: [-2.0, 2.0, -1.0, 3.0]
#   threshold=None, top_n=4, sort=True: [3.0, 2.0]
#   threshold=-9, top_n=3, sort=False: [2.0, -1.0, 3.0]
#   threshold=-9, top_n=3, sort=True: [3.0, 2.0, -1.0]
#   threshold=-9, top_n=4, sort=False: [-2.0, 2.0, -1.0, 3.0]
#   threshold=-9, top_n=4, sort=True: [3.0, 2.0, -1.0, -2.0]

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check sparse-dot-topn==1.2.0 scipy==1.17.1 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import numpy as np
from scipy.sparse import csr_matrix
from sparse_dot_topn import sp_matmul_topn

left = csr_matrix(np.array([[1.0]]))
right = csr_matrix(np.array([[3.0, -1.0, 2.0, -2.0]]))
print("sparse-dot-topn", version("sparse-dot-topn"))
for threshold in (None, -9):
    for top_n in (3, 4):
        for sort in (False, True):
            products = sp_matmul_topn(left, right, top_n=top_n, threshold=threshold, sort=sort).data
            print(f"threshold={threshold}, top_n={top_n}, sort={sort}: {products.tolist()}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
