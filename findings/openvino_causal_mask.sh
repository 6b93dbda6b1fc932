#!/usr/bin/env bash
# openvino 2026.4.1: scaled_dot_product_attention with a mask and causal=True.
#
# A guess: both count, as in the operator Attention of ONNX. torch refuses the two together.
#
# What happens: the mask is ignored. Below, it forbids the first key to the second query, which averages
# both values all the same. Without causal=True, the mask works.
#
#   openvino 2026.4.1
#   causal=False: the second query gets [0.0, 8.0]
#   causal=True: the second query gets [4.0, 4.0]

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import numpy as np
import openvino
from openvino import opset13

print("openvino", version("openvino"))
inputs = [opset13.parameter([1, 1, 2, 2], np.float32) for _ in "qkv"] + [opset13.parameter([1, 1, 2, 2], bool)]
values = np.array([[[[8, 0], [0, 8]]]], dtype=np.float32)
mask = np.array([[[[True, True], [False, True]]]])
for causal in (False, True):
    attention = opset13.scaled_dot_product_attention(*inputs, causal=causal)
    compiled = openvino.Core().compile_model(openvino.Model([attention], inputs), "CPU")
    nothing = np.zeros_like(values)
    (output,) = compiled([nothing, nothing, values, mask]).values()
    print(f"causal={causal}: the second query gets", output[0, 0, 1].tolist())
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
