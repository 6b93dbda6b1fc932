#!/usr/bin/env bash
# pytrec-eval-terrier 0.5.11: scores of 64 bits that differ after the seventh digit.
#
# A guess: a run is a dict of Python floats, so a larger score ranks higher.
#
# What happens: scores are kept as float32. Close scores, or integers above 2**24 such as times in
# seconds, become equal, and equal scores rank by document id, descending. The better document "a"
# then comes second.
#
#   pytrec-eval-terrier 0.5.11
#   a 0.75, b 0.5: P@1 1, reciprocal rank 1
#   a 0.999999999, b 0.999999998: P@1 0, reciprocal rank 0.5
#   a 1795000001.0, b 1795000000.0: P@1 0, reciprocal rank 0.5

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pytrec-eval-terrier==0.5.11 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import pytrec_eval

evaluator = pytrec_eval.RelevanceEvaluator({"query": {"a": 1, "b": 0}}, {"P_1", "recip_rank"})
print("pytrec-eval-terrier", version("pytrec-eval-terrier"))
for better, worse in ((0.75, 0.5), (1 - 1e-9, 1 - 2e-9), (1_795_000_001.0, 1_795_000_000.0)):
    measures = evaluator.evaluate({"query": {"a": better, "b": worse}})["query"]
    print(f"a {better!r}, b {worse!r}: P@1 {measures['P_1']:g}, reciprocal rank {measures['recip_rank']:g}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
