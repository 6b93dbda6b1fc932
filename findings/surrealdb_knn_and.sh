#!/usr/bin/env bash
# surrealdb 2.0.0, embedded: the nearest 2 rows by brute force, among rows that fulfil a condition.
#
# A guess: the order of AND does not matter, and 2 rows come back where 2 or more fulfil the condition.
#
# What happens: the nearest rows are sought among those that the conditions before let through. Conditions
# after it only remove some of the 2. With an index of the kind HNSW, both orders return 2 rows.
#
#   surrealdb 2.0.0
#   price > 1 AND vector <|2,EUCLIDEAN|> [0]: [2, 3]
#   vector <|2,EUCLIDEAN|> [0] AND price > 1: [2]
#   price > 1 AND vector <|2,40|> [0]: [2, 3]
#   vector <|2,40|> [0] AND price > 1: [2, 3]

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check surrealdb==2.0.0
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

from surrealdb import Surreal

print("surrealdb", version("surrealdb"))
with Surreal("mem://") as database:
    database.use("finding", "finding")
    database.query("DEFINE INDEX vectors ON indexed FIELDS vector HNSW DIMENSION 1 DIST EUCLIDEAN")
    for number in range(1, 5):
        for table in ("plain", "indexed"):
            database.query(f"CREATE {table}:{number} SET vector = [{number}], price = {number}")
    for table, near in (("plain", "vector <|2,EUCLIDEAN|> [0]"), ("indexed", "vector <|2,40|> [0]")):
        for condition in (f"price > 1 AND {near}", f"{near} AND price > 1"):
            found = database.query(f"SELECT id FROM {table} WHERE {condition}")
            print(f"{condition}:", sorted(row["id"].id for row in found))
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
