#!/usr/bin/env bash
# ranx 0.3.21: fuse by ranks, such as rrf, with norm="borda".
#
# A guess: a norm keeps the order of a run, so a method that reads only ranks gives what it gives with any norm.
#
# What happens: the Borda norm leaves a run in the order of a hash table, and methods by ranks read that order and not
# the scores. Of twenty documents that both runs rank alike, some other order comes out. Methods by scores are right.
#
#   ranx 0.3.21
#   rrf, min-max: in the order of both runs
#   rrf, borda: in another order
#   isr, min-max: in the order of both runs
#   isr, borda: in another order
#   sum, min-max: in the order of both runs
#   sum, borda: in the order of both runs

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check ranx==0.3.21 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

from ranx import Run, fuse

print("ranx", version("ranx"))
names = [f"d{i}" for i in range(20)]
run = {"question": {name: 1 - i / 20 for i, name in enumerate(names)}}
for method in ("rrf", "isr", "sum"):
    for norm in ("min-max", "borda"):
        fused = fuse(runs=[Run(run), Run(run)], norm=norm, method=method)
        order = "the order of both runs" if list(fused.to_dict()["question"]) == names else "another order"
        print(f"{method}, {norm}: in {order}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output" 2>/dev/null
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
