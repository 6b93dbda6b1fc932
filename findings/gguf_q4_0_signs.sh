#!/usr/bin/env bash
# gguf 0.19.0: Q4_0, the 4-bit type with one scale per block of 32.
#
# A guess: the grid is symmetric, so 1 and -1 in one block are stored equally well.
#
# What happens: the 16 levels run from -8 to 7 times the scale, and the scale has a sign: the first
# value of the largest size gets the level -8. That value is exact, and a value of the same size and
# the other sign comes back as 7/8 of it. Which of two opposite values shrinks depends on their
# order.
#
#   gguf 0.19.0
#   [1, -1] comes back as [1.0, -0.875]
#   [-1, 1] comes back as [-1.0, 0.875]
#   [0.5, -1, 1] comes back as [0.5, -1.0, 0.875]

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check gguf==0.19.0 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize

print("gguf", version("gguf"))
for values in ([1, -1], [-1, 1], [0.5, -1, 1]):
    block = np.zeros((1, 32), np.float32)
    block[0, : len(values)] = values
    stored = quantize(block, GGMLQuantizationType.Q4_0)
    print(f"{values} comes back as {dequantize(stored, GGMLQuantizationType.Q4_0)[0, : len(values)].tolist()}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
