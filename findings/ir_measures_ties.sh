#!/usr/bin/env bash
# ir-measures 0.4.3 with pytrec-eval-terrier 0.5.11: RR and RR@10 of the same short ranking.
#
# A guess: for two results, a cut at ten changes nothing.
#
# What happens: trec_eval computes the first and a script of MS MARCO the second, and they order equal scores in opposite ways.
# With the relevant document in a tie, one says 0.5 and the other 1.
#
#   ir-measures 0.4.3
#   a first: RR 1.0, RR@10 1.0
#   a tie: RR 0.5, RR@10 1.0

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check ir-measures==0.4.3 pytrec-eval-terrier==0.5.11 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import ir_measures
from ir_measures import RR

print("ir-measures", version("ir-measures"))
qrels = {"question": {"a": 1, "b": 0}}
for name, scores in (("a first", {"a": 0.7, "b": 0.5}), ("a tie", {"a": 0.5, "b": 0.5})):
    measured = ir_measures.calc_aggregate([RR, RR @ 10], qrels, {"question": scores})
    print(f"{name}: RR {measured[RR]}, RR@10 {measured[RR @ 10]}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
