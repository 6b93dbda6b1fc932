#!/usr/bin/env bash
# faiss 1.15.1: the 8-bit scalar quantizer (SQ8), at the ends of its range.
#
# A guess: 256 levels from the smallest to the largest value of the training rows, so that both ends
# are stored exactly, zero among them when it is the smallest.
#
# What happens: codes are rounded down and decoded half a step up. The smallest value comes back
# half a step too large, and the largest half a step above everything that was trained. A dimension
# of counts that are mostly 0 is mostly 0.196 after decoding, and a row is not at distance 0 from
# itself.
#
#   faiss 1.15.1
#   0 is stored as 0.196
#   50 is stored as 50.000
#   100 is stored as 100.196
#   distance of row 0 to itself: 0.0384

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check faiss-cpu==1.15.1 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
import faiss
import numpy as np

rows = np.array([[0.0], [50.0], [100.0]], np.float32)
index = faiss.IndexScalarQuantizer(1, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_L2)
index.train(rows)
index.add(rows)
print("faiss", faiss.__version__)
for number, row in enumerate(rows):
    print(f"{row[0]:g} is stored as {index.reconstruct(number)[0]:.3f}")
print(f"distance of row 0 to itself: {index.search(rows[:1], 1)[0][0, 0]:.4f}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
