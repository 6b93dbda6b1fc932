#!/usr/bin/env bash
# ml_dtypes 0.6.0 with numpy 2.4.6: the mean of more than 256 bfloat16 values.
#
# A guess: numpy adds up bfloat16 as it adds up float16, in float32, so the mean of 1000 ones is 1.
#
# What happens: the sum is kept in bfloat16 and stops at 256, since 257 has no bfloat16 and rounds
# back. The mean of 1000 ones is 0.256, so mean pooling over many tokens shrinks a vector. A dot
# product of the same array is right.
#
#   ml_dtypes 0.6.0 numpy 2.4.6
#   float16: mean 1.0000, sum 1000, dot 1000
#   bfloat16: mean 0.2559, sum 256, dot 1000

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check ml_dtypes==0.6.0 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import ml_dtypes
import numpy as np

print("ml_dtypes", version("ml_dtypes"), "numpy", version("numpy"))
for dtype in (np.float16, ml_dtypes.bfloat16):
    ones = np.ones(1000, dtype)
    print(f"{ones.dtype}: mean {float(ones.mean()):.4f}, sum {float(ones.sum()):g}, dot {float(ones @ ones):g}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
