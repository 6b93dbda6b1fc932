#!/usr/bin/env bash
# pyturso 0.8.3: vector_distance_cos of vectors of one bit a number.
#
# A guess: one minus their cosine, as for all other types, and so at most 2.
#
# What happens: the number of places that differ. vector_distance_dot of the same two is minus the product of their
# signs. Under one threshold, rows of one bit and rows of eight bits cannot be mixed.
#
#   pyturso 0.8.3
#   vector32: cosine distance 1.0, product distance 0.0
#   vector8: cosine distance 1.0, product distance 0.0
#   vector1bit: cosine distance 4.0, product distance 0.0

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pyturso==0.8.3
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import turso

print("pyturso", version("pyturso"))
cursor = turso.connect(":memory:").cursor()
one, other = "[1,1,1,1,1,1,1,1]", "[1,1,1,1,-1,-1,-1,-1]"
for type_ in ("vector32", "vector8", "vector1bit"):
    answers = []
    for distance in ("cos", "dot"):
        cursor.execute(f"SELECT vector_distance_{distance}({type_}('{one}'), {type_}('{other}'))")
        answers.append(round(cursor.fetchall()[0][0], 3) + 0.0)
    print(f"{type_}: cosine distance {answers[0]}, product distance {answers[1]}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
