#!/usr/bin/env bash
# duckdb 2.0.1: ORDER BY array_cosine_similarity(…) DESC, in a table with a vector of zeros.
#
# A guess: the similarity of a vector of zeros is null or 0, and the row is not among the best.
#
# What happens: it is NaN, which this database orders above each number. The row of zeros is the best
# match of every question. By array_cosine_distance ascending it is the last.
#
#   duckdb 2.0.1
#   similarity desc: {'zero': nan, 'right': 1.0, 'up': 0.0}
#   distance asc: {'right': 0.0, 'up': 1.0, 'zero': nan}

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check duckdb==2.0.1
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import duckdb

print("duckdb", version("duckdb"))
duckdb.sql("create table rows (id text, vector float[2])")
duckdb.sql("insert into rows values ('zero', [0, 0]), ('right', [2, 0]), ('up', [0, 1])")
for measure, order in (("similarity", "desc"), ("distance", "asc")):
    best = f"select id, array_cosine_{measure}(vector, [1, 0]::float[2]) as measured from rows order by measured {order}"
    print(f"{measure} {order}:", dict(duckdb.sql(best).fetchall()))
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
