#!/usr/bin/env bash
# numkong 7.8.6: maxsim, the late interaction of ColBERT.
#
# A guess: the sum of each query token's best similarity, so that more is better.
#
# What happens: the sum of each query token's smallest angular distance, 1 minus the cosine, so that less
# is better. A text compared with itself gets 0, and with its opposite the most. The docstring says so.
#
#   numkong 7.8.6
#   itself: maxsim 0.000, the sum of similarities 2.000
#   half of it: maxsim 1.000, the sum of similarities 1.000
#   its opposite: maxsim 3.000, the sum of similarities -1.000

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numkong==7.8.6 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import numkong
import numpy as np

print("numkong", version("numkong"))
query = np.array([[1, 0], [0, 1]], dtype=np.float32)
for name, document in (("itself", query), ("half of it", query[:1]), ("its opposite", -query[:1])):
    similar = (query @ document.T).max(axis=1).sum()
    print(f"{name}: maxsim {numkong.maxsim(query, document.copy()):.3f}, the sum of similarities {similar:.3f}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
