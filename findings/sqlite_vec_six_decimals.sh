#!/usr/bin/env bash
# sqlite-vec 0.1.9: vec_to_json, which writes a stored vector as text.
#
# A guess: the text reads back as the same vector: nine digits are enough for float32.
#
# What happens: it has six digits after the point, however small the numbers. 1e-7 becomes 0, and most
# components of a unit vector of 384 lose two or more of their digits. Its int8 quantizer of unit vectors
# rounds down, too: 1 becomes 126 of 127, and -1 becomes -128.
#
#   sqlite-vec 0.1.9
#   0.123456789, 0.0012345678, 1e-7: [0.123457,0.001235,0.000000]
#   reads back as the same vector: False
#   1, -1, 0.5, -0.5 as int8: [126, -128, 63, -64]

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check sqlite-vec==0.1.9 apsw==3.54.1.0 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
import struct
from importlib.metadata import version

import apsw
import sqlite_vec

print("sqlite-vec", version("sqlite-vec"))
database = apsw.Connection(":memory:")
database.enable_load_extension(True)
database.load_extension(sqlite_vec.loadable_path())
vector = struct.pack("3f", 0.123456789, 0.0012345678, 1e-7)
print("0.123456789, 0.0012345678, 1e-7:", database.execute("select vec_to_json(?)", [vector]).get)
same = database.execute("select vec_f32(vec_to_json(?1)) = ?1", [vector]).get
print("reads back as the same vector:", bool(same))
codes = database.execute("select vec_quantize_int8(?, 'unit')", [struct.pack("4f", 1, -1, 0.5, -0.5)]).get
print("1, -1, 0.5, -0.5 as int8:", list(struct.unpack("4b", codes)))
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
