#!/usr/bin/env bash
# numcodecs 0.16.6: BitRound, which zarr's arrays of vectors are rounded with, and NaN.
#
# A guess: NaN stays NaN, as under the codec Quantize, whatever bits its fraction has.
#
# What happens: the codec adds to the bits and cuts them off, so it carries into the exponent and the
# sign. The NaN whose bits are all set, which some programs write for "missing", becomes -0.0, a number like
# any other, and one with a small fraction becomes infinity.
#
#   numcodecs 0.16.6
#   0x7fc00000: NaN, nan under BitRound, nan under Quantize
#   0x7fffffff: NaN, -0.0 under BitRound, nan under Quantize
#   0x7f800001: NaN, inf under BitRound, nan under Quantize

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numcodecs==0.16.6 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
import numcodecs
import numpy as np

print("numcodecs", numcodecs.__version__)
for bits in (0x7FC00000, 0x7FFFFFFF, 0x7F800001):
    number = np.array([bits], np.uint32).view(np.float32)
    assert np.isnan(number[0])
    rounded, quantised = numcodecs.BitRound(keepbits=10), numcodecs.Quantize(digits=3, dtype="f4")
    one = rounded.decode(rounded.encode(number.copy()))[0]
    other = quantised.decode(quantised.encode(number.copy()))[0]
    print(f"{bits:#x}: NaN, {one} under BitRound, {other} under Quantize")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
