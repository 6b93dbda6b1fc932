#!/usr/bin/env bash
# milvus-lite 3.2.2 with pymilvus 3.0.2: filters on a field that is null in some rows.
#
# A guess: "n != 1", "not (n == 1)" and "n not in [1]" are the same filter, whether nulls pass or
# not.
#
# What happens: rows with null fail the first two, as in SQL, and pass the third. A list of one
# value is another filter than that value.
#
#   milvus-lite 3.2.2 pymilvus 3.0.2
#   n != 1: [11]
#   not (n == 1): [11]
#   n not in [1]: [11, 12]
#   n is null: [12]

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check milvus-lite==3.2.2 pymilvus==3.0.2
cat > "$folder/program.py" <<'PYTHON'
import logging
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from pymilvus import DataType, MilvusClient

logging.disable()
print("milvus-lite", version("milvus-lite"), "pymilvus", version("pymilvus"))
with TemporaryDirectory() as folder:
    client = MilvusClient(str(Path(folder) / "rows.db"))
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("n", DataType.INT64, nullable=True)
    parameters = client.prepare_index_params()
    parameters.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("rows", schema=schema, index_params=parameters)
    client.insert("rows", [{"id": 10 + i, "vector": [i, 0], "n": n} for i, n in enumerate((1, 2, None))])
    for condition in ("n != 1", "not (n == 1)", "n not in [1]", "n is null"):
        print(f"{condition}: {sorted(row['id'] for row in client.query('rows', filter=condition))}")
    client.close()
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
