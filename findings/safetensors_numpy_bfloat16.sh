#!/usr/bin/env bash
# safetensors 0.8.0, its module for numpy: bfloat16 and float8.
#
# A guess: what safetensors.numpy.save takes, safetensors.numpy.load gives back; or save refuses
# what load does not know.
#
# What happens: save accepts an array of ml_dtypes' bfloat16 or float8_e4m3fn and writes a valid
# file. load of these bytes raises KeyError, for the whole file: the float32 array beside it is not
# to be had by load either.
#
#   safetensors 0.8.0
#   float16: save writes 152 bytes, load returns ['coarse', 'exact']
#   bfloat16: save writes 152 bytes, load raises KeyError('BF16')
#   float8_e4m3fn: save writes 156 bytes, load raises KeyError('F8_E4M3')

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check safetensors==0.8.0 ml_dtypes==0.6.0 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import ml_dtypes
import numpy as np
from safetensors.numpy import load, save

print("safetensors", version("safetensors"))
for dtype in (np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn):
    stored = save({"coarse": np.ones(4, dtype), "exact": np.ones(4, np.float32)})
    try:
        outcome = f"load returns {sorted(load(stored))}"
    except KeyError as error:
        outcome = f"load raises KeyError({error})"
    print(f"{np.dtype(dtype)}: save writes {len(stored)} bytes, {outcome}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
