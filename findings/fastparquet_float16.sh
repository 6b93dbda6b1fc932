#!/usr/bin/env bash
# fastparquet 2026.9.0 reads a Parquet file that pyarrow 26.0.1 wrote, with a column of float16.
#
# A guess: fastparquet returns numbers, or refuses a type it does not know.
#
# What happens: no error and no number. Each value comes back as a Python object with its two bytes,
# since Parquet stores float16 as bytes of fixed length, and fastparquet passes over the logical
# type. pyarrow returns numbers.
#
#   fastparquet 2026.9.0 pyarrow 26.0.1
#   pyarrow: [1.0, 2.0, 0.5]
#   fastparquet: object [b'\x00<', b'\x00@', b'\x008']

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check fastparquet==2026.9.0 pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fastparquet import ParquetFile

print("fastparquet", version("fastparquet"), "pyarrow", version("pyarrow"))
with TemporaryDirectory() as folder:
    path = str(Path(folder) / "weights.parquet")
    pq.write_table(pa.table({"weight": np.array([1, 2, 0.5], np.float16)}), path)
    print("pyarrow:", pq.read_table(path)["weight"].to_pylist())
    column = ParquetFile(path).to_pandas()["weight"]
    print("fastparquet:", column.dtype, column.tolist())
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
